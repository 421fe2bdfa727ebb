"""A field that takes the key that is pressed in it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QKeyCombination, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLineEdit, QWidget

_MODIFIERS = {
    Qt.Key.Key_Shift: Qt.KeyboardModifier.ShiftModifier,
    Qt.Key.Key_Control: Qt.KeyboardModifier.ControlModifier,
    Qt.Key.Key_Alt: Qt.KeyboardModifier.AltModifier,
    Qt.Key.Key_Meta: Qt.KeyboardModifier.MetaModifier,
}


class KeyRecorder(QLineEdit):
    """Press a key while it has the focus. Tab leaves it, as everywhere.

    Attributes
    ----------
    recorded : Signal(str)
        The key, as `deeplab_studio.app.keymap.portable` writes it.
    """

    recorded = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setPlaceholderText(self.tr("Press a new key"))
        self.setAccessibleName(self.tr("New key"))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self._alone: Qt.Key | None = None
        """A modifier that went down and was followed by nothing so far."""

    def event(self, event: QEvent) -> bool:
        """Take the key before it becomes a shortcut."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Take the key, or wait for the one that comes with a modifier."""
        key = Qt.Key(event.key())
        event.accept()
        if event.isAutoRepeat() or key == Qt.Key.Key_unknown:
            return
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key in _MODIFIERS or key == Qt.Key.Key_AltGr:
            self._alone = key
            held = _MODIFIERS.get(key, modifiers) | modifiers
            self.setText(_text(held, Qt.Key(0)))
            return
        self._alone = None
        self.clear()
        typed = event.text()
        # The plus on many keyboards is Shift and another key: the person means the plus.
        symbol = bool(typed) and typed.isprintable() and not typed[0].isalnum() and not typed[0].isspace()
        if symbol:
            modifiers &= ~Qt.KeyboardModifier.ShiftModifier
        self.recorded.emit(_text(modifiers, key))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """A modifier alone was meant."""
        if self._alone is not None and event.key() == self._alone:
            self.clear()
            alone, self._alone = self._alone, None
            self.recorded.emit(_text(Qt.KeyboardModifier.NoModifier, alone))
        elif self._alone is None:
            self.clear()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Nothing is waited for any more."""
        self._alone = None
        self.clear()
        super().focusOutEvent(event)


def _text(modifiers: Qt.KeyboardModifier, key: Qt.Key) -> str:
    return QKeySequence(QKeyCombination(modifiers, key)).toString(QKeySequence.SequenceFormat.PortableText)
