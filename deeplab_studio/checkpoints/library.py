"""The models of this person on this machine: where they lie, what they are, and whether they are still the same.

Models are files in one folder, those that came with the program, and files elsewhere that were registered without
moving them. What the program knows about them beyond the files themselves is in ``index.json`` in that folder; it is
read anew on every call, so several windows and commands may work at once.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from deeplab_studio.checkpoints.catalogue import ModelCard, card_for_file, cards, find_card
from deeplab_studio.checkpoints.digest import sha256_of
from deeplab_studio.checkpoints.library_index import UNKNOWN, Index, ModelFacts, Record
from deeplab_studio.checkpoints.partial import discard
from deeplab_studio.checkpoints.starters import StarterCard, best_starter, list_starters
from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error, natural_key
from deeplab_studio.core.resources import shipped_models

if TYPE_CHECKING:
    from deeplab_studio.checkpoints.download import Downloaded
    from deeplab_studio.checkpoints.model import LoadedModel

MODEL_SUFFIXES = frozenset({".pth", ".pt", ".tar", ".pkl", ".safetensors", ".npz", ".h5", ".caffemodel"})

Origin = Literal["library", "external", "shipped"]
State = Literal["ready", "unchecked", "changed", "missing"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model file the library knows.

    Parameters
    ----------
    path : Path
        The file.
    origin : {"library", "external", "shipped"}
        In the library's folder, elsewhere and only registered, or part of the program.
    size : int
        Bytes; 0 if it is missing.
    sha256 : str
        As of the last look into the file; empty if there was none yet.
    card : ModelCard or None
        The published model it is.
    state : {"ready", "unchecked", "changed", "missing"}
        "unchecked": its content was not looked at since it was added or touched, `ModelLibrary.verify` does.
        "changed": it is no longer, or never was, the file that is known under this name.
    facts : ModelFacts
        What it holds, as far as somebody has looked inside.
    source, source_sha256 : str
        The file it was converted from, and that file's hash; empty if it was not converted.
    starter : StarterCard or None
        The starter model it is.
    """

    path: Path
    origin: Origin
    size: int
    sha256: str
    card: ModelCard | None
    state: State
    facts: ModelFacts = UNKNOWN
    source: str = ""
    source_sha256: str = ""
    starter: StarterCard | None = None

    @property
    def id(self) -> str:
        """Name for command lines: a starter's own, or that of the file with the first digits of its hash."""
        if self.starter is not None:
            return self.starter.id
        short = self.sha256[:8]
        return self.path.stem if short in self.path.stem else f"{self.path.stem}-{short}"

    @property
    def title(self) -> str:
        """What to call it."""
        card = self.card or self.starter
        return card.title if card is not None else self.facts.name or self.path.stem

    @property
    def version(self) -> str:
        """Which DeepLab it is; empty if no card says so and nobody has looked inside yet."""
        card = self.card or self.starter
        return card.version if card is not None else self.facts.version

    @property
    def usable(self) -> bool:
        """Whether there is a file to load."""
        return self.state in ("ready", "unchecked")

    def is_of(self, card: ModelCard | None) -> bool:
        """Whether it is the published model of `card`."""
        return card is not None and self.card is not None and self.card.id == card.id


class ModelLibrary:
    """The model files of one person.

    Parameters
    ----------
    folder : Path, optional
        Where downloads and copies go; by default ``models`` in the program's data folder. Made on first use.
    shipped : Path, optional
        Models that came with the program, never changed here.

    Attributes
    ----------
    notices : list of str
        Sentences a person should read: what was wrong with the library and what was done about it.
    """

    def __init__(self, folder: Path | None = None, shipped: Path | None = None) -> None:
        self.folder = (folder if folder is not None else default_folder()).absolute()
        self.shipped = shipped if shipped is not None else shipped_models()
        self.notices: list[str] = []
        self._index_path = self.folder / "index.json"

    def path_for(self, card: ModelCard) -> Path:
        """Name the downloaded file of a card has."""
        return self.folder / card.file

    def installed(self) -> list[InstalledModel]:
        """Return every known model, those of the program first, then by name. Reads no file but the index."""
        index, starters = self._read(), self._starters()
        found = [(path, "shipped") for path in _model_files(self.shipped)]
        found += [(path, "library") for path in _model_files(self.folder)]
        here = {self._key(path) for path, _ in found}
        found += [(Path(key), "external") for key in index.files if key not in here and Path(key).is_absolute()]
        order = {"shipped": 0, "library": 1, "external": 1}
        found.sort(key=lambda entry: (order[entry[1]], natural_key(entry[0].name)))
        return [self._describe(path, index.files.get(self._key(path)), starters) for path, _ in found]

    def first_choice(self) -> InstalledModel | None:
        """The model to begin with when none was chosen yet: one the person has got, else the best starter."""
        models = [model for model in self.installed() if model.usable]
        own = next((model for model in models if model.origin != "shipped"), None)
        return own or self.starter() or next(iter(models), None)

    def starter(self) -> InstalledModel | None:
        """The best of the usable starter models that came with the program, if any did."""
        models = [model for model in self.installed() if model.usable and model.starter is not None]
        best = best_starter(model.starter for model in models if model.starter is not None)
        return next((model for model in models if model.starter == best), None)

    def find(self, name: str) -> InstalledModel | None:
        """Return the model called `name`: an id, a file name or path, else a title or the id of a card."""

        def exact(model: InstalledModel) -> set[str]:
            return {model.id, model.path.name, str(model.path)}

        def loose(model: InstalledModel) -> set[str]:
            names = {model.path.stem, model.title, *([model.card.id] if model.card is not None else [])}
            return names | ({f"starter-{model.version}"} if model.starter is not None else set())

        models = self.installed()
        return next((model for names in (exact, loose) for model in models if name in names(model)), None)

    def of_card(self, card: ModelCard) -> InstalledModel | None:
        """Return the usable model that is this card's, if there is one."""
        mine = [model for model in self.installed() if model.is_of(card) and model.usable]
        return mine[0] if mine else None

    def add(
        self,
        path: Path,
        *,
        card: ModelCard | None = None,
        copy: bool = False,
        facts: ModelFacts | None = None,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Take up a file that is on this machine. The file itself is not touched.

        Parameters
        ----------
        path : Path
            The file.
        card : ModelCard, optional
            The published model it is meant to be; checked as far as its hash and size are published.
        copy : bool
            Copy it into the library's folder instead of remembering where it is.
        facts : ModelFacts, optional
            What it holds, if it was loaded.
        cancel : CancelToken, optional
            Polled while the file is read.

        Returns
        -------
        InstalledModel
            An earlier one, if the same content is known already.

        Raises
        ------
        StudioError
            If the file cannot be read, is not the card's, or cannot be copied.
        """
        path = path.absolute()
        if path.is_dir():
            raise StudioError("this is a folder", path=path, hint="Choose the model file inside it.")
        sha256 = sha256_of(path, cancel)
        if card is not None:
            _check_is(path, sha256, card, cancel)
        else:
            card = _card_of(path, sha256, cancel)
        known = next((model for model in self.installed() if model.sha256 == sha256 and model.state == "ready"), None)
        if known is not None and not (copy and known.origin == "external"):
            if (card is None or known.is_of(card)) and facts in (None, known.facts):
                return known
            return self._remember(known.path, sha256, card or known.card, facts=facts)
        if copy and self._origin(path) != "library":
            path = self._copy(path, sha256)
        return self._remember(path, sha256, card, facts=facts)

    def convert(
        self, path: Path, *, names: Sequence[str] | None = None, half: bool = False, cancel: CancelToken | None = None
    ) -> InstalledModel:
        """Take up a checkpoint of any dialect as a file of the program's own format. The file itself is not touched.

        Parameters
        ----------
        path : Path
            The checkpoint.
        names : sequence of str, optional
            What its classes are called, in the order of its outputs.
        half : bool
            Store the weights of the convolutions as float16, see `deeplab_studio.checkpoints.native.save_native`.
        cancel : CancelToken, optional
            Polled while the file is read.

        Returns
        -------
        InstalledModel
            An earlier one, if the same content was converted before.

        Raises
        ------
        StudioError
            If the file is no model this program can load, `names` do not fit it, or it cannot be written.
        """
        from deeplab_studio.checkpoints.native import NAME, SUFFIX, Provenance, save_native

        path = path.absolute()
        model = self.load(path)
        if names is not None:
            model = model.with_class_names(names)
        ready = [known for known in self.installed() if known.state == "ready"]
        before = next((known for known in ready if model.sha256 in (known.sha256, known.source_sha256)), None)
        if before is not None and before.path.suffix == SUFFIX and before.origin != "external":
            self._keep_names(before.sha256, names)
            return before
        if model.dialect == NAME:
            added = self.add(path, copy=True, cancel=cancel)
            self._keep_names(added.sha256, names)
            return self._remember(added.path, added.sha256, added.card, facts=ModelFacts.of(model))
        card = _card_of(path, model.sha256, cancel)
        origin = Provenance(
            source=card.url if card is not None else str(path),
            sha256=model.sha256,
            dialect=model.dialect,
            licence=(card.licence or "") if card is not None else "",
        )
        with self._exclusive():
            target = self.folder / f"{path.stem}{SUFFIX}"
            if target.exists():
                target = self.folder / f"{path.stem}-{model.sha256[:8]}{SUFFIX}"
            save_native(model, target, half=half, provenance=origin)
        sha256 = sha256_of(target, cancel)
        source = {"source": str(path), "source_sha256": model.sha256}
        return self._remember(target, sha256, card, facts=ModelFacts.of(model), **source)

    def load(self, path: Path, *, output_stride: int | None = None) -> LoadedModel:
        """Load a model with the class names a person gave it, if there are any.

        Raises
        ------
        CheckpointError
            See `deeplab_studio.checkpoints.load_checkpoint`.
        """
        from deeplab_studio.checkpoints import load_checkpoint

        model = load_checkpoint(path, output_stride=output_stride)
        given: dict[str, tuple[str, ...]] = {}
        with contextlib.suppress(StudioError):  # a list that cannot be read is no reason not to open a file
            given = self._read().classes
        names = given.get(model.sha256) if given else None  # the hash takes as long as the rest
        return model.with_class_names(names) if names is not None and len(names) == len(model.classes) else model

    def register(self, downloaded: Downloaded, card: ModelCard) -> InstalledModel:
        """Take up a finished download of `card`."""
        return self._remember(downloaded.path, downloaded.sha256, card)

    def verify(self, model: InstalledModel, cancel: CancelToken | None = None) -> InstalledModel:
        """Read the file and tell whether it is what is known under its name.

        A first look records the hash. `add` accepts a changed file as a new one.

        Raises
        ------
        StudioError
            If the file cannot be read.
        """
        if not model.path.is_file():
            return replace(model, size=0, state="missing")
        sha256 = sha256_of(model.path, cancel)
        starter = self._starters().get(model.path.absolute())
        if starter is not None:  # another release may have brought another file of this name
            return self._remember(model.path, starter.sha256, None, sha256)
        record = self._read().files.get(self._key(model.path))
        if record is not None:
            return self._remember(model.path, record.sha256, find_card(record.card or ""), sha256)
        published = card_for_file(model.path.name)
        card = _card_of(model.path, sha256, cancel)
        if published is not None and published.digest is not None and card is None:
            return self._remember(model.path, published.digest.value, None, sha256)
        return self._remember(model.path, sha256, card)

    def remove(self, model: InstalledModel) -> None:
        """Delete a file of the library's folder, or forget one that is elsewhere.

        Raises
        ------
        StudioError
            If it came with the program, or cannot be deleted.
        """
        origin = self._origin(model.path)
        if origin == "shipped":
            raise StudioError("it is part of the program and stays", path=model.path)
        if origin == "library":
            try:
                model.path.unlink(missing_ok=True)
            except OSError as error:
                reason, hint = explain_os_error(error)
                raise StudioError(f"it cannot be removed: {reason}", path=model.path, hint=hint) from error
            discard(model.path)
        self._change(lambda index: index.files.pop(self._key(model.path), None))

    def disk_use(self) -> int:
        """Return the bytes the library's folder holds, unfinished downloads included."""
        total = 0
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    total += path.stat().st_size if path.is_file() else 0
        return total

    def class_names(self, sha256: str) -> tuple[str, ...] | None:
        """Return the class names a person gave the file with this hash."""
        return self._read().classes.get(sha256)

    def set_class_names(self, sha256: str, names: tuple[str, ...] | None) -> None:
        """Keep the class names of the file with this hash, in the order of its outputs; None forgets them."""
        if names is None:
            self._change(lambda index: index.classes.pop(sha256, None))
        else:
            self._change(lambda index: index.classes.__setitem__(sha256, tuple(names)))

    def _keep_names(self, sha256: str, names: Sequence[str] | None) -> None:
        if names is not None:
            self.set_class_names(sha256, tuple(names))

    # --- Files -------------------------------------------------------------------------------------------------------

    def _origin(self, path: Path) -> Origin:
        if path.parent == self.folder:
            return "library"
        if self.shipped is not None and path.parent == self.shipped.absolute():
            return "shipped"
        return "external"

    def _key(self, path: Path) -> str:
        """Name in the index: relative for the library's own files and the program's, whose folders may be moved."""
        path = path.absolute()
        if self._origin(path) == "shipped":
            return f"shipped/{path.name}"
        return path.name if path.parent == self.folder else str(path)

    def _starters(self) -> dict[Path, StarterCard]:
        if self.shipped is None:
            return {}
        return {card.path.absolute(): card for card in list_starters(self.shipped)}

    def _describe(
        self, path: Path, record: Record | None, starters: dict[Path, StarterCard] | None = None
    ) -> InstalledModel:
        origin = self._origin(path.absolute())
        starter = (self._starters() if starters is None else starters).get(path.absolute())
        if starter is not None and record is not None and record.sha256 != starter.sha256:
            record = None
        card = find_card(record.card or "") if record is not None else card_for_file(path.name)
        sha256 = (record.found or record.sha256) if record is not None else ""
        known = record or Record("", 0, 0, "")
        try:
            status = path.stat()
        except OSError:
            return InstalledModel(path, origin, 0, sha256, card, "missing", facts=known.facts)
        state: State = "unchecked"
        if starter is not None and status.st_size != starter.bytes:
            state = "changed"
        elif record is not None and (status.st_size, status.st_mtime_ns) == (record.size, record.mtime_ns):
            state = "changed" if record.found else "ready"
        elif record is None and card is not None and card.bytes not in (None, status.st_size):
            card = None
        return InstalledModel(
            path, origin, status.st_size, sha256, card, state, known.facts, known.source, known.source_sha256, starter
        )

    def _copy(self, path: Path, sha256: str) -> Path:
        with self._exclusive():
            target = self.folder / path.name
            if target.exists():
                target = self.folder / f"{path.stem}-{sha256[:8]}{path.suffix}"
            with atomic_write(target) as temporary:
                shutil.copyfile(path, temporary)
                if sha256_of(temporary) != sha256:
                    raise StudioError("it changed while it was copied", path=path, hint="Add it again.")
        return target

    # --- The index ---------------------------------------------------------------------------------------------------

    def _remember(
        self,
        path: Path,
        sha256: str,
        card: ModelCard | None,
        found: str = "",
        *,
        facts: ModelFacts | None = None,
        source: str = "",
        source_sha256: str = "",
    ) -> InstalledModel:
        """Note a file; what is known of the same content is kept unless it is given anew."""
        status = path.stat()
        key = self._key(path)
        before = self._read().files.get(key)
        if before is not None and before.sha256 == sha256:
            facts = facts or before.facts
            source, source_sha256 = source or before.source, source_sha256 or before.source_sha256
        facts = facts or UNKNOWN
        record = Record(
            key,
            status.st_size,
            status.st_mtime_ns,
            sha256,
            card.id if card is not None else None,
            found if not found.startswith(sha256) else "",
            facts.name,
            source,
            source_sha256,
            facts.version,
            facts.classes,
            facts.class_set,
        )
        self._change(lambda index: index.files.__setitem__(key, record))
        return self._describe(path, record)

    def _read(self) -> Index:
        try:
            return Index.parse(self._index_path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return Index()
        except OSError as error:
            reason, hint = explain_os_error(error)
            raise StudioError(f"it cannot be read: {reason}", path=self._index_path, hint=hint) from error
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._start_over()

    def _start_over(self) -> Index:
        broken = self._index_path.with_name("index-broken.json")
        with contextlib.suppress(OSError):
            self._index_path.replace(broken)
        self.notices.append(
            f"The list of models, {self._index_path}, could not be understood and was made anew from the files in its "
            f"folder. Files elsewhere must be added again; the old list is kept as {broken.name}."
        )
        return Index()

    def _change(self, change: Callable[[Index], _T]) -> _T:
        with self._exclusive():
            index = self._read()
            result = change(index)
            with atomic_write(self._index_path) as temporary:
                temporary.write_text(index.dump(), "utf-8")
        return result

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        try:
            locks = self.folder / ".locks"
            locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(locks / "index.lock", timeout=30)
            lock.acquire()
        except Timeout as error:
            raise StudioError(
                "another window has been writing to it for half a minute", path=self.folder, hint="Close that window."
            ) from error
        except OSError as error:
            reason, hint = explain_os_error(error)
            raise StudioError(f"it cannot be written to: {reason}", path=self.folder, hint=hint) from error
        try:
            yield
        finally:
            lock.release()


def default_folder() -> Path:
    """Where models lie unless another folder is chosen."""
    import platformdirs

    return platformdirs.user_data_path("deeplab-studio", appauthor=False) / "models"


def _model_files(folder: Path | None) -> list[Path]:
    try:
        names = list(folder.iterdir()) if folder is not None else []
    except OSError:
        return []
    return [
        path
        for path in names
        if path.suffix.lower() in MODEL_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _card_of(path: Path, sha256: str, cancel: CancelToken | None) -> ModelCard | None:
    """Return the card a file belongs to: by its hash, or by its name where no hash is published."""
    for card in cards(purpose=None):
        if card.digest is not None and card.digest.kind == "sha256" and sha256.startswith(card.digest.value):
            return card
    named = card_for_file(path.name)
    if named is not None and (named.digest is None or named.digest.matches(path, sha256, cancel)):
        return named
    return None


def _check_is(path: Path, sha256: str, card: ModelCard, cancel: CancelToken | None) -> None:
    if card.digest is not None and not card.digest.matches(path, sha256, cancel):
        raise StudioError(
            f"it is not {card.file}: its sha256 is {sha256}, expected was {card.digest}",
            path=path,
            hint="Choose another file, or open this one as a model of your own.",
        )
    if card.digest is None and card.bytes is not None and path.stat().st_size != card.bytes:
        raise StudioError(
            f"it is not {card.file}: it has {path.stat().st_size:,} bytes, the published file {card.bytes:,}",
            path=path,
            hint="Choose another file, or open this one as a model of your own.",
        )
