"""The project: everything a person has decided about a data set, in one file.

The file is a SQLite database in WAL mode. Every change is one transaction, synchronised to the disk before the call
returns (``synchronous=FULL``; under ``NORMAL`` the log reaches the disk only at the next checkpoint, and a power cut
takes everything since the last one). What `Project.save_map` has returned from survives a killed process and a power
cut; a write cut off in the middle leaves the state before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs

from deeplab_studio.core.classmap import Labels, Mask
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error, natural_key
from deeplab_studio.core.item_figures import FigureTable, measure, write_figures
from deeplab_studio.core.labels import VOC_LABELS, LabelSet
from deeplab_studio.core.project_backups import open_or_restore
from deeplab_studio.core.project_file import (
    OpenFile,
    check_in_place,
    copy_into,
    create,
    open_memory,
    project_error,
    recreate,
)
from deeplab_studio.core.project_items import (
    STATES,
    Item,
    absolute_path,
    file_signature,
    free_names,
    item_from_db,
    item_key,
    key_to_db,
)
from deeplab_studio.core.project_labels import ProjectLabels
from deeplab_studio.core.project_maps import PackedMap, pack_map, unpack_map
from deeplab_studio.core.project_schema import read_label_set, write_label_set
from deeplab_studio.core.voc.layout import safe_id

__all__ = ["PROJECT_NAME", "PROJECT_SUFFIX", "STATES", "Item", "Project"]

PROJECT_SUFFIX = ".dlsproj"
"""How the names of project files end."""

PROJECT_NAME = f"deeplab-studio{PROJECT_SUFFIX}"
"""Name of the project file in the folder it belongs to."""

_FEW = 100
"""From this many items on, one pass over the table is faster than a query for each."""


class Project:
    """Items with their class maps, pins, states and parameters, and the label set they share.

    A new project lives in memory until there is something a person would miss: looking into a folder leaves nothing
    behind. Adding items is no such thing; saving a class map, a state, a parameter or a label set is.

    All methods may be called from any thread; calls wait for each other. Those that save wait for the disk.

    Parameters
    ----------
    places : iterable of Path
        Where the file is or will be, best place first. The next one is taken if one cannot be written.
    root : Path or None
        Folder that keys are relative to.
    label_set : LabelSet
        For a project that does not exist yet.
    skip_taken : bool
        Whether to go on to the next place, instead of opening for reading, if another window writes there.

    Attributes
    ----------
    figures : FigureTable
        What is known about the items in numbers.
    labels : ProjectLabels
        The label set, and changing it together with the class maps.

    Raises
    ------
    StudioError
        If a file is there but is damaged, is something else, or was made by a newer program. It is left as it is.
    """

    def __init__(
        self, places: Iterable[Path], *, root: Path | None, label_set: LabelSet = VOC_LABELS, skip_taken: bool = False
    ) -> None:
        places = list(places)
        existing = [place for place in places if _is_there(place)]
        self._free_places = [place for place in places if place not in existing]
        self._preferred = places[0]
        self._skip_taken = skip_taken
        self._root = absolute_path(root) if root is not None else None
        self._lock = threading.RLock()
        self._guests: dict[str, Item] = {}
        self._file: OpenFile | None = None
        self._memory: sqlite3.Connection | None = None
        self.figures = FigureTable(self._reading, self._writing)
        for place in existing:
            opened = open_or_restore(place)
            if opened.lock is None and skip_taken:
                opened.close()
                continue
            self._path, self._file = place, opened
            break
        else:
            self._path, self._memory = self._free_places[0], open_memory()
        try:
            if self._memory is not None:
                write_label_set(self._memory, label_set)
            with self._reading() as connection:
                saved = read_label_set(connection, self._path)
            self.labels = ProjectLabels(self._reading, self._writing, saved)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: Path, *, root: Path | None = None, label_set: LabelSet = VOC_LABELS) -> Project:
        """The project in a file; a new one if there is none yet."""
        return cls([Path(path)], root=root, label_set=label_set)

    @classmethod
    def for_folder(cls, folder: Path, *, label_set: LabelSet = VOC_LABELS) -> Project:
        """The project of a folder.

        It lies in the folder, or with the user's own data if the folder cannot be written (`outside_folder`).

        Raises
        ------
        StudioError
            If the folder is missing or its project cannot be opened.
        """
        folder = absolute_path(folder)
        if not _is_there(folder) or not folder.is_dir():
            raise StudioError("there is no such folder", path=folder)
        identity = os.path.normcase(os.path.realpath(folder))
        digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]
        elsewhere = _user_projects() / f"{safe_id(folder.name or 'root')}-{digest}.dlsproj"
        return cls([folder / PROJECT_NAME, elsewhere], root=folder, label_set=label_set)

    @classmethod
    def scratch(cls, *, label_set: LabelSet = VOC_LABELS) -> Project:
        """The project of loose images, with the user's own data.

        It remembers every loose image ever worked on; a second window at the same time gets another one.
        """
        places = [_user_projects() / f"loose-images-{number}.dlsproj" for number in range(1, 1000)]
        return cls(places, root=None, label_set=label_set, skip_taken=True)

    def close(self) -> None:
        """Close the file. Everything saved is on disk already. Closing twice is fine."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            if self._memory is not None:
                self._memory.close()
                self._memory = None

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- Where it is ------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The file; where it will be as long as nothing was saved."""
        return self._path

    @property
    def root(self) -> Path | None:
        """Folder that keys are relative to."""
        return self._root

    @property
    def is_on_disk(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    @property
    def read_only(self) -> bool:
        """Whether nothing can be saved: another window writes the project, or its file cannot be written."""
        return self._file is not None and self._file.lock is None

    @property
    def outside_folder(self) -> bool:
        """Whether the file lies with the user's own data because the folder cannot be written."""
        return self.is_on_disk and not self._skip_taken and self.path != self._preferred

    @property
    def notice(self) -> str | None:
        """What a person should know about where the project is kept, in one sentence; None if all is as usual."""
        if self._file is not None and self._file.refusal:
            return f"{self.path.name} is open for reading only: {self._file.refusal}. Changes cannot be saved."
        if self._file is not None and self._file.restored is not None:
            return self._file.restored.notice
        if self._file is not None and self._file.backup is not None:
            return f"An older DeepLab Studio made this project; a copy from before is kept as {self._file.backup.name}."
        if self.outside_folder:
            return f"{self._preferred.parent} cannot be written, so the work is kept in {self.path}."
        return None

    # --- Items ------------------------------------------------------------------------------------------------------

    def add(self, paths: Iterable[Path]) -> list[Item]:
        """Make sure images are in the project.

        Parameters
        ----------
        paths : iterable of Path
            Photos; one that is in the project already is not added again.

        Returns
        -------
        list of Item
            One per path, in that order. In a project open for reading only new ones are not kept.
        """
        keys = [item_key(path, self._root) for path in paths]
        with self._lock:
            found = self._find(keys)
            fresh = [key for key in dict.fromkeys(keys) if key not in found]
            if fresh and self.read_only:
                self._add_guests(fresh)
            elif fresh:
                now = time.time()
                names = self._free_names(fresh)
                with self._writing(create_file=False) as connection:
                    connection.executemany(
                        "INSERT INTO items (key, name, state, added_at) VALUES (?, ?, 'new', ?)",
                        [(key_to_db(key), name, now) for key, name in zip(fresh, names, strict=True)],
                    )
            found |= self._find(fresh)
        return [found[key] for key in keys]

    def items(self) -> list[Item]:
        """All items, folder by folder, in natural order."""
        with self._reading() as connection:
            rows = connection.execute("SELECT id, key, state, name FROM items").fetchall()
        items = [self._item(*row) for row in rows]
        items += self._guests.values()
        folder_key = cache(lambda folder: tuple(natural_key(part) for part in folder.split("/")))

        def order(item: Item) -> tuple[Any, ...]:
            folder, _, name = item.key.rpartition("/")
            return folder_key(folder), natural_key(name)

        return sorted(items, key=order)

    def item(self, item_id: int) -> Item:
        """One item as it is now.

        Raises
        ------
        KeyError
            If there is none of that id.
        """
        for guest in self._guests.values():
            if guest.id == item_id:
                return guest
        return self._item(*self._row("SELECT id, key, state, name FROM items WHERE id = ?", item_id))

    def set_state(self, item_id: int, state: str) -> None:
        """Save an item's state; as `set_states`."""
        self.set_states([item_id], state)

    def set_states(self, item_ids: Iterable[int], state: str) -> None:
        """Save the state of any number of items at once.

        Raises
        ------
        ValueError
            If it is not one of `STATES`.
        KeyError
            If there is no item of one of the ids; nothing is saved then.
        """
        if state not in STATES:
            raise ValueError(f"{state!r} is no state, they are {', '.join(STATES)}")
        now = time.time()
        with self._writing() as connection:
            for item_id in item_ids:
                changed = connection.execute(
                    "UPDATE items SET state = ?, changed_at = ? WHERE id = ?", (state, now, item_id)
                )
                if not changed.rowcount:
                    raise KeyError(item_id)

    def model(self, item_id: int) -> str | None:
        """Id of the model whose prediction an item's class map started from; None if none was saved."""
        (model,) = self._row("SELECT model FROM items WHERE id = ?", item_id)
        return None if model is None else str(model)

    def set_model(self, item_id: int, model_id: str | None) -> None:
        """Save the id of the model an item's class map started from."""
        self._update(item_id, "model", model_id)

    def crf(self, item_id: int) -> dict[str, Any] | None:
        """CRF parameters of an item as saved by `set_crf`; None if it has none of its own."""
        (text,) = self._row("SELECT crf FROM items WHERE id = ?", item_id)
        return None if text is None else dict(json.loads(text))

    def set_crf(self, item_id: int, params: Mapping[str, Any] | None) -> None:
        """Save CRF parameters of an item: values by name, as JSON can hold them."""
        self._update(item_id, "crf", None if params is None else json.dumps(dict(params)))

    # --- Class maps -------------------------------------------------------------------------------------------------

    def save_map(
        self,
        item_id: int,
        labels: Labels,
        pinned: Mask | None,
        *,
        state: str | None = None,
        crf: Mapping[str, Any] | None = None,
    ) -> None:
        """Save an item's class map; on disk when the call returns.

        Parameters
        ----------
        item_id : int
        labels : (H, W) uint8 array
            Not to be changed by another thread during the call.
        pinned : (H, W) bool array, optional
            None is the same as no pixel pinned.
        state, crf : optional
            Saved with it, in the same transaction; as by `set_state` and `set_crf`.

        Raises
        ------
        StudioError
            If it cannot be saved (the disk is full, the project is open for reading only); the map saved before stays.
        KeyError
            If there is no such item.
        """
        if state is not None and state not in STATES:
            raise ValueError(f"{state!r} is no state, they are {', '.join(STATES)}")
        row = (*pack_map(labels, pinned), *file_signature(self.item(item_id).path))
        with self._reading() as connection:
            figures = measure(connection, item_id, labels, pinned)
        now = time.time()
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO maps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (item_id, *row, now))
            connection.execute(
                "UPDATE items SET changed_at = ?, state = coalesce(?, state), crf = coalesce(?, crf) WHERE id = ?",
                (now, state, None if crf is None else json.dumps(dict(crf)), item_id),
            )
            write_figures(connection, item_id, figures)
        self.figures.saved(item_id)

    def load_map(self, item_id: int) -> tuple[Labels, Mask] | None:
        """An item's saved class map.

        Returns
        -------
        labels : (H, W) uint8 array
        pinned : (H, W) bool array
            Or None instead of both if nothing was saved.

        Raises
        ------
        StudioError
            If what was saved is damaged. Other items are not affected.
        """
        with self._reading() as connection:
            row = connection.execute(
                "SELECT width, height, labels, pins, crc FROM maps WHERE item_id = ?", (item_id,)
            ).fetchone()
        if row is None:
            return None
        try:
            return unpack_map(PackedMap(*row))
        except ValueError as error:
            raise StudioError(
                "its saved class map is damaged",
                path=self.item(item_id).path,
                hint="Label this image again; the others are not affected.",
            ) from error

    def items_with_maps(self) -> set[int]:
        """Ids of the items that have a saved class map."""
        with self._reading() as connection:
            return {item_id for (item_id,) in connection.execute("SELECT item_id FROM maps")}

    def photo_changed(self, item_id: int) -> bool:
        """Whether the photo's file is another than when its class map was saved, by size and time of change.

        False if no map was saved or the photo is missing.
        """
        with self._reading() as connection:
            row = connection.execute(
                "SELECT photo_bytes, photo_mtime_ns FROM maps WHERE item_id = ?", (item_id,)
            ).fetchone()
        now = file_signature(self.item(item_id).path)
        return row is not None and None not in (*row, *now) and row != now

    # --- The whole project ------------------------------------------------------------------------------------------

    @property
    def label_set(self) -> LabelSet:
        """The classes that the class maps refer to."""
        return self.labels.label_set

    @label_set.setter
    def label_set(self, label_set: LabelSet) -> None:
        self.labels.replace(label_set)

    def setting(self, name: str) -> Any:
        """A value saved by `save_setting`; None if there is none."""
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM settings WHERE key = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def save_setting(self, name: str, value: Any) -> None:
        """Save a value that JSON can hold for the whole project, by a name of the caller's."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def copy_to(self, target: Path) -> None:
        """Write a copy that stands by itself: it finds the photos by their whole paths, wherever it lies.

        Parameters
        ----------
        target : Path
            The file; replaced if there is one.

        Raises
        ------
        StudioError
            If it cannot be written.
        """
        with self._reading() as connection, atomic_write(target) as temporary:
            copy_into(connection, temporary)
            with closing(sqlite3.connect(temporary)) as copy, copy:
                copy.execute("PRAGMA journal_mode = MEMORY")
                rows = copy.execute("SELECT id, key, state, name FROM items").fetchall()
                keys = [(key_to_db(item_key(self._item(*row).path, None)), row[0]) for row in rows]
                copy.executemany("UPDATE items SET key = ? WHERE id = ?", keys)

    # --- Inside -----------------------------------------------------------------------------------------------------

    @property
    def _connection(self) -> sqlite3.Connection:
        connection = self._file.connection if self._file is not None else self._memory
        if connection is None:
            raise RuntimeError("the project is closed")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise project_error(self._path, error) from error

    @contextmanager
    def _writing(self, *, create_file: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk afterwards, or nothing is and an error says why."""
        with self._lock:
            if self._file is not None and self._file.lock is None:
                raise StudioError(
                    f"nothing can be saved here: {self._file.refusal}",
                    path=self._path,
                    hint="Close the other window, then open it again." if "window" in self._file.refusal else None,
                )
            if create_file and self._memory is not None:
                self._create_file(self._memory)
            if self._file is not None and not check_in_place(self._path, self._file):
                self._file = recreate(self._path, self._file)
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise project_error(self._path, error) from error
                raise

    def _create_file(self, memory: sqlite3.Connection) -> None:
        refused: OSError | None = None
        for place in self._free_places:
            try:
                if place.parent == _user_projects():
                    place.parent.mkdir(parents=True, exist_ok=True)
                self._file = create(place, memory)
            except FileExistsError as error:
                if self._skip_taken:
                    continue
                raise StudioError(
                    "another window has begun to save here",
                    path=place,
                    hint="Open the folder again to go on from there.",
                ) from error
            except OSError as error:
                refused = refused or error
                continue
            self._path, self._memory = place, None
            memory.close()
            return
        raise StudioError(
            "nothing can be saved: its folder cannot be written",
            path=self._preferred,
            hint="Check the folder's permissions.",
        ) from refused

    def _row(self, query: str, item_id: int) -> tuple[Any, ...]:
        with self._reading() as connection:
            row: tuple[Any, ...] | None = connection.execute(query, (item_id,)).fetchone()
        if row is None:
            raise KeyError(item_id)
        return row

    def _update(self, item_id: int, column: str, value: str | None) -> None:
        with self._writing() as connection:
            changed = connection.execute(
                f"UPDATE items SET {column} = ?, changed_at = ? WHERE id = ?", (value, time.time(), item_id)
            )
            if not changed.rowcount:
                raise KeyError(item_id)

    def _find(self, keys: list[str]) -> dict[str, Item]:
        """The items of those keys that are in the project."""
        found = {key: self._guests[key] for key in keys if key in self._guests}
        query = "SELECT id, key, state, name FROM items"
        with self._reading() as connection:
            if len(keys) < _FEW:
                one = f"{query} WHERE key = ?"
                rows = [row for key in keys for row in connection.execute(one, (key_to_db(key),))]
            else:
                wanted = {key_to_db(key) for key in keys}
                rows = [row for row in connection.execute(query) if row[1] in wanted]
        return found | {item.key: item for item in (self._item(*row) for row in rows)}

    def _add_guests(self, keys: list[str]) -> None:
        with self._reading() as connection:
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()
        first = int(last) + len(self._guests) + 1
        for number, (key, name) in enumerate(zip(keys, self._free_names(keys), strict=True), first):
            self._guests[key] = self._item(number, key, "new", name)

    def _item(self, item_id: int, key: str | bytes, state: str, name: str) -> Item:
        return item_from_db(self._root, item_id, key, state, name)

    def _free_names(self, keys: list[str]) -> list[str]:
        with self._reading() as connection:
            taken = [name for (name,) in connection.execute("SELECT name FROM items")]
        return free_names(keys, [*taken, *(guest.name for guest in self._guests.values())])


def _user_projects() -> Path:
    return platformdirs.user_data_path("deeplab-studio", appauthor=False) / "projects"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it cannot be looked at because {reason}", path=path, hint=hint) from error
