"""Which keys belong to which action: the table's, or a person's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QKeyCombination, QObject, Qt, Signal
from PySide6.QtGui import QKeySequence

from deeplab_studio.app.action_rows import ACTIONS, MENUS, ActionSpec
from deeplab_studio.app.settings import Settings
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write

_SPECS = {spec.id: spec for spec in ACTIONS}

_NO_MODIFIER = Qt.KeyboardModifier.NoModifier

RESERVED: dict[Qt.Key, str] = {
    Qt.Key.Key_Space: QT_TRANSLATE_NOOP("Keymap", "Space moves the picture while it is held"),
    Qt.Key.Key_Escape: QT_TRANSLATE_NOOP("Keymap", "Esc takes back what is being drawn, and closes what is open"),
    Qt.Key.Key_Backspace: QT_TRANSLATE_NOOP("Keymap", "Backspace takes back the last point of what is being drawn"),
    Qt.Key.Key_Return: QT_TRANSLATE_NOOP("Keymap", "Enter completes what is being drawn, and presses buttons"),
    Qt.Key.Key_Enter: QT_TRANSLATE_NOOP("Keymap", "Enter completes what is being drawn, and presses buttons"),
    Qt.Key.Key_Tab: QT_TRANSLATE_NOOP("Keymap", "Tab goes to the next control"),
    Qt.Key.Key_Backtab: QT_TRANSLATE_NOOP("Keymap", "Shift+Tab goes to the control before"),
    Qt.Key.Key_Up: QT_TRANSLATE_NOOP("Keymap", "Arrow keys move through lists and change values"),
    Qt.Key.Key_Down: QT_TRANSLATE_NOOP("Keymap", "Arrow keys move through lists and change values"),
    Qt.Key.Key_Left: QT_TRANSLATE_NOOP("Keymap", "Arrow keys move through lists and change values"),
    Qt.Key.Key_Right: QT_TRANSLATE_NOOP("Keymap", "Arrow keys move through lists and change values"),
}
"""Keys that mean something by themselves, and what; with Ctrl, Alt or Meta most of them are free."""

_ALONE = {
    Qt.Key.Key_Shift: QT_TRANSLATE_NOOP("Keymap", "Shift makes strokes straight while it is held"),
    Qt.Key.Key_Control: QT_TRANSLATE_NOOP("Keymap", "Ctrl alone is no key: press another one with it"),
    Qt.Key.Key_Alt: QT_TRANSLATE_NOOP("Keymap", "Alt alone is no key: press another one with it"),
    Qt.Key.Key_AltGr: QT_TRANSLATE_NOOP("Keymap", "Alt alone is no key: press another one with it"),
    Qt.Key.Key_Meta: QT_TRANSLATE_NOOP("Keymap", "This key alone is no key: press another one with it"),
}


def translated_reason(text: str) -> str:
    """A reason of the tables above in the language of the window."""
    return QCoreApplication.translate("Keymap", text)


def portable(key: str) -> str:
    """A key as it is written in settings and files ("Ctrl+Shift+Z"); "" if it is none, or more than one."""
    sequence = QKeySequence.fromString(key, QKeySequence.SequenceFormat.PortableText)
    if sequence.count() != 1 or _combination(key).key() == Qt.Key.Key_unknown:
        return ""
    return sequence.toString(QKeySequence.SequenceFormat.PortableText)


def shown(keys: Iterable[str]) -> str:
    """Keys as a person reads them, with those of a Mac on a Mac."""
    return ", ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys)


def action_name(spec: ActionSpec) -> str:
    """What an action is called outside a menu."""
    text = QCoreApplication.translate("Actions", spec.text).replace("&", "").rstrip("…")
    return f"{text} {spec.id.removeprefix('class_')}" if spec.id.startswith("class_") else text


class Keymap(QObject):
    """The keys of all actions, as a person has set them.

    Parameters
    ----------
    settings : Settings
        Where what differs from the table is kept.
    parent : QObject, optional

    Signals
    -------
    changed
        Some keys are others now.
    """

    changed = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._own: dict[str, tuple[str, ...]] = {}
        stored = settings.get("keys/own")
        # What another release or an editor wrote must not leave a key with two actions, or an action unusable.
        self._take(stored)

    def keys(self, action_id: str) -> tuple[str, ...]:
        """The keys of an action, the one that is shown first."""
        own = self._own.get(action_id)
        return _SPECS[action_id].shortcuts if own is None else own

    def is_own(self, action_id: str) -> bool:
        """Whether an action's keys are others than in the table."""
        return action_id in self._own

    def owner(self, key: str) -> str | None:
        """Id of the action that has a key; None if it is free."""
        wanted = portable(key)
        return next((spec.id for spec in ACTIONS if wanted in map(portable, self.keys(spec.id))), None)

    def refusal(self, key: str, action_id: str) -> str:
        """Why an action cannot have a key whoever has it now, as a sentence without its full stop; "" if it can."""
        combination = _combination(key)
        pressed, modifiers = combination.key(), combination.keyboardModifiers()
        if pressed in _ALONE:
            return translated_reason(_ALONE[pressed])
        if not portable(key):
            return translated_reason(QT_TRANSLATE_NOOP("Keymap", "This is no key"))
        bare = modifiers in (_NO_MODIFIER, Qt.KeyboardModifier.KeypadModifier, Qt.KeyboardModifier.ShiftModifier)
        if pressed in RESERVED and bare:
            return translated_reason(RESERVED[pressed])
        if modifiers == Qt.KeyboardModifier.AltModifier:
            for title in MENUS:
                menu = QCoreApplication.translate("Actions", title)
                letter = menu[menu.index("&") + 1].upper() if "&" in menu[:-1] else ""
                if letter and portable(key) == f"Alt+{letter}":
                    text = QT_TRANSLATE_NOOP("Keymap", "It opens the menu {0}")
                    return translated_reason(text).format(menu.replace("&", ""))
        if _SPECS[action_id].hold and modifiers != _NO_MODIFIER:
            text = QT_TRANSLATE_NOOP("Keymap", "A key to hold down cannot be combined with Ctrl, Alt or Shift")
            return translated_reason(text)
        return ""

    def add(self, action_id: str, key: str) -> None:
        """Give an action one more key, and take it from the action that has it.

        Raises
        ------
        ValueError
            If it cannot have it; the message is `refusal`.
        """
        reason = self.refusal(key, action_id)
        if reason:
            raise ValueError(reason)
        key = portable(key)
        owner = self.owner(key)
        if owner == action_id:
            return
        if owner is not None:
            self._put(owner, [each for each in self.keys(owner) if portable(each) != key])
        # A key that is held is one key: there is no saying which of two is let go.
        kept = () if _SPECS[action_id].hold else self.keys(action_id)
        self._put(action_id, [*kept, key])
        self._save()

    def remove(self, action_id: str, key: str) -> None:
        """Take a key from an action."""
        self._put(action_id, [each for each in self.keys(action_id) if portable(each) != portable(key)])
        self._save()

    def reset(self, action_id: str) -> None:
        """Give an action the keys of the table, and take them from whoever has them."""
        for key in _SPECS[action_id].shortcuts:
            owner = self.owner(key)
            if owner not in (None, action_id):
                self._put(owner, [each for each in self.keys(owner) if portable(each) != portable(key)])
        self._own.pop(action_id, None)
        self._save()

    def reset_all(self) -> None:
        """Give all actions the keys of the table."""
        self._own.clear()
        self._save()

    def own(self) -> dict[str, list[str]]:
        """What differs from the table: keys by action id."""
        return {action_id: list(keys) for action_id, keys in sorted(self._own.items())}

    def write(self, path: Path) -> None:
        """Write what differs from the table to a JSON file.

        Raises
        ------
        StudioError
            If it cannot be written.
        """
        text = json.dumps({"format": _FORMAT, "keys": self.own()}, indent=2, ensure_ascii=False)
        with atomic_write(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def read(self, path: Path) -> list[str]:
        """Take over a file of `write` in place of all own keys.

        Returns
        -------
        list of str
            One sentence for every key that could not be taken over.

        Raises
        ------
        StudioError
            If it cannot be read or is no such file; nothing changes then.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != _FORMAT:
                raise ValueError(document["format"])
            keys = dict(document["keys"])
        except OSError as error:
            raise StudioError(f"it cannot be read ({error.strerror})", path=path) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StudioError(
                "this is no file of keys", path=path, hint="Choose one that was exported in the window of keys."
            ) from error
        problems = self._take(keys)
        self._save()
        return problems

    def _take(self, keys: Mapping[str, Any]) -> list[str]:
        """Replace the own keys by `keys` as far as they are possible; a sentence for each that is not."""
        self._own = {}
        problems = []
        asked: dict[str, list[str]] = {}
        for action_id, wanted in keys.items():
            if action_id not in _SPECS or not isinstance(wanted, (list, tuple)):
                text = QT_TRANSLATE_NOOP("Keymap", "There is no action {0}.")
                problems.append(translated_reason(text).format(action_id))
                continue
            asked[action_id] = []
            for key in map(str, wanted):
                reason = self.refusal(key, action_id)
                if reason:
                    problems.append(f"{action_name(_SPECS[action_id])}, {key}: {reason}.")
                else:
                    asked[action_id].append(portable(key))
        taken: dict[str, str] = {}
        for action_id, wanted in asked.items():
            free = [key for key in wanted if taken.setdefault(key, action_id) == action_id]
            text = QT_TRANSLATE_NOOP("Keymap", "{0} has {1} already, so {2} does not get it.")
            problems += [
                translated_reason(text).format(action_name(_SPECS[taken[key]]), key, action_name(_SPECS[action_id]))
                for key in wanted
                if key not in free
            ]
            self._put(action_id, free)
        for spec in ACTIONS:  # those that keep the table's keys leave them to whoever asked for them
            if spec.id not in asked and any(portable(key) in taken for key in spec.shortcuts):
                self._put(spec.id, [key for key in spec.shortcuts if portable(key) not in taken])
        return problems

    def _put(self, action_id: str, keys: Iterable[str]) -> None:
        wanted = tuple(dict.fromkeys(keys))
        if wanted == _SPECS[action_id].shortcuts:
            self._own.pop(action_id, None)
        else:
            self._own[action_id] = wanted

    def _save(self) -> None:
        self._settings.set("keys/own", self.own())
        self.changed.emit()


_FORMAT = "deeplab-studio keys 1"


def _combination(key: str) -> QKeyCombination:
    sequence = QKeySequence.fromString(key, QKeySequence.SequenceFormat.PortableText)
    return sequence[0] if sequence.count() else QKeyCombination(Qt.Key.Key_unknown)  # type: ignore[index]
