"""What is known of one model, and what can be done with it: the lower half of the model library."""

from __future__ import annotations

from PySide6.QtCore import QLocale, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app import starters
from deeplab_studio.app.icons import Tone, icon
from deeplab_studio.app.model_table import Row, caution_text, result_text, size_text
from deeplab_studio.app.panels.controls import GAP
from deeplab_studio.checkpoints.progress import Progress


class ModelDetails(QFrame):
    """Facts about a model, its download, and buttons.

    Signals
    -------
    downloadClicked, pauseClicked, cancelClicked, useClicked, acceptClicked, ownFileClicked, removeClicked :
        The button of that name was pressed, for the model shown.
    fullClicked :
        The person wants to see the full models of a starter's version.
    linkClicked : str
        The address of the publisher's page was clicked.
    """

    downloadClicked = Signal()
    pauseClicked = Signal()
    cancelClicked = Signal()
    useClicked = Signal()
    acceptClicked = Signal()
    ownFileClicked = Signal()
    removeClicked = Signal()
    fullClicked = Signal()
    linkClicked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._title = QLabel()
        font = QFont(self._title.font())
        font.setPointSizeF(font.pointSizeF() * 1.2)
        font.setWeight(QFont.Weight.DemiBold)
        self._title.setFont(font)
        self._note = _Message()
        self._problem = _Message()
        self.progress_bar = QProgressBar(textVisible=False)
        self.progress_text = QLabel()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, GAP, 0, GAP)
        layout.setSpacing(GAP)
        layout.addWidget(self._title)
        layout.addLayout(self._build_facts())
        layout.addWidget(self._note)
        layout.addWidget(self._problem)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.progress_text)
        layout.addLayout(self._build_buttons())

    def _build_facts(self) -> QHBoxLayout:
        self.trained_on, self.results, self.licence = _Fact(), _Fact(), _Fact()
        self.source, self.file, self.hash, self.place = _Fact(), _Fact(), _Fact(), _Fact()
        self.source.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.source.linkActivated.connect(self.linkClicked)
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        fixed.setPointSizeF(self.font().pointSizeF() * 0.9)
        self.hash.setFont(fixed)
        self._published = _Form(
            (self.tr("Trained on"), self.trained_on),
            (self.tr("mIoU"), self.results),
            (self.tr("Licence"), self.licence),
            (self.tr("Source"), self.source),
        )
        file = _Form((self.tr("File name"), self.file), (self.tr("Hash"), self.hash), (self.tr("Place"), self.place))
        row = QHBoxLayout()
        row.setSpacing(4 * GAP)
        row.addWidget(self._published, 2, Qt.AlignmentFlag.AlignTop)
        row.addWidget(file, 3, Qt.AlignmentFlag.AlignTop)
        return row

    def _build_buttons(self) -> QHBoxLayout:
        self.download_button = QPushButton(self.tr("&Download"))
        self.pause_button = QPushButton(self.tr("&Pause"))
        self.pause_button.setToolTip(self.tr("What has arrived is kept"))
        self.cancel_button = QPushButton(self.tr("&Cancel"))
        self.cancel_button.setToolTip(self.tr("What has arrived is deleted"))
        self.use_button = QPushButton(self.tr("&Use this model"))
        self.accept_button = QPushButton(self.tr("&Keep it as it is"))
        self.accept_button.setToolTip(self.tr("From now on this content is what is expected under this name"))
        self.own_button = QPushButton(self.tr("Use a file I &already have…"))
        self.own_button.setToolTip(self.tr("Compare a file on this computer with the published one, and use it"))
        self.full_button = QPushButton()
        self.full_button.setToolTip(self.tr("Larger models of the same version, to download: they know all classes"))
        self.remove_button = QPushButton(self.tr("&Remove…"))
        row = QHBoxLayout()
        row.setSpacing(GAP)
        for button, signal in (
            (self.download_button, self.downloadClicked),
            (self.pause_button, self.pauseClicked),
            (self.cancel_button, self.cancelClicked),
            (self.use_button, self.useClicked),
            (self.accept_button, self.acceptClicked),
            (self.own_button, self.ownFileClicked),
            (self.full_button, self.fullClicked),
            (None, None),
            (self.remove_button, self.removeClicked),
        ):
            if button is None or signal is None:
                row.addStretch(1)
                continue
            button.setAutoDefault(False)
            button.clicked.connect(signal)
            row.addWidget(button)
        return row

    def show_row(self, row: Row | None) -> None:
        """Show a model, or nothing."""
        self.setVisible(row is not None)
        if row is None:
            return
        self._title.setText(row.title)
        self._show_facts(row)
        if row.starter is not None and row.card is None:
            self._note.say("info", "accent", starters.about_text(row.starter))
        else:
            self._note.say("warning", "warning", " ".join(filter(None, _notes(row))))
        self._problem.say("error", "danger", self._problem_text(row))
        self.show_progress(row)
        self._show_buttons(row)

    def notes_text(self) -> str:
        """What one should know of the model, if anything."""
        return self._note.text()

    def problem_text(self) -> str:
        """What is wrong with it, if anything."""
        return self._problem.text()

    def show_progress(self, row: Row) -> None:
        """Show how far the download of `row` is."""
        visible = bool(row.transfer)
        self.progress_bar.setVisible(visible)
        self.progress_text.setVisible(visible)
        if not visible:
            return
        progress = row.progress or Progress(0, row.card.size if row.card is not None else None, 0.0)
        self.progress_bar.setRange(0, 1000 if progress.total or row.transfer != "running" else 0)
        self.progress_bar.setValue(round(1000 * progress.received / progress.total) if progress.total else 0)
        self.progress_text.setText(self._progress_text(row, progress))

    def _progress_text(self, row: Row, progress: Progress) -> str:
        if row.transfer == "waiting":
            return self.tr("Waits for the other download")
        text = size_text(progress.received)
        if progress.total:
            text = self.tr("{0} of {1}").format(text, size_text(progress.total))
        if row.transfer == "paused":
            return self.tr("Paused at {0}").format(text)
        if progress.total and progress.received >= progress.total:
            return self.tr("{0}, checking").format(text)
        if progress.speed:
            text += " · " + self.tr("{0}/s").format(size_text(round(progress.speed)))
            if progress.seconds_left is not None:
                text += " · " + self.tr("{0} left").format(duration_text(progress.seconds_left))
        return text

    def _show_facts(self, row: Row) -> None:
        card, model, starter = row.card, row.model, row.starter
        self._published.setVisible(card is not None or starter is not None)
        self.trained_on.show_text(card.trained_on if card is not None else "")
        self.results.show_text("\n".join(map(result_text, card.results)) if card is not None else "")
        self.licence.show_text((card.licence or self.tr("None stated; ask the publisher")) if card is not None else "")
        if starter is not None and card is None:
            self.trained_on.show_text(starter.data)
            self.results.show_text(starters.result_text(starter))
            self.licence.show_text(starter.licence)
        self.source.show_text(f'<a href="{card.source}">{card.source}</a>' if card is not None else "")
        self.file.show_text(card.file if card is not None else model.path.name if model is not None else "")
        if model is not None and model.sha256:
            self.hash.show_text(f"sha256 {model.sha256}")
        elif card is not None:
            self.hash.show_text(str(card.digest) if card.digest is not None else self.tr("None published"))
        else:
            self.hash.show_text("")
        self.place.show_text(str(model.path.parent) if model is not None else "")

    def _problem_text(self, row: Row) -> str:
        if row.error is not None:
            return str(row.error)
        if row.model is not None and row.model.state == "missing":
            return self.tr("The file is not there any more.")
        if row.model is not None and row.model.state == "changed":
            if row.starter is not None:
                return self.tr("The content of this file is not what came with the program. Install the program again.")
            return self.tr("The content of this file is not what is known under its name.")
        return ""

    def _show_buttons(self, row: Row) -> None:
        active = row.transfer in ("waiting", "running")
        wanted = row.card is not None and not row.usable
        self.download_button.setVisible(wanted and not active)
        self.download_button.setText(
            self.tr("&Resume")
            if row.transfer == "paused"
            else self.tr("&Try again")
            if row.error is not None
            else self.tr("&Download")
        )
        self.pause_button.setVisible(active)
        self.cancel_button.setVisible(bool(row.transfer))
        self.use_button.setVisible(row.usable and not active)
        self.own_button.setVisible(wanted and not active)
        changed = row.model is not None and row.model.state == "changed"
        self.accept_button.setVisible(changed and row.starter is None and not active)
        self.full_button.setVisible(row.starter is not None)
        if row.starter is not None:
            self.full_button.setText(self.tr("&Full {0} models").format(row.starter.version))
        removable = row.model is not None and row.model.origin != "shipped" and not active
        self.remove_button.setVisible(removable)
        self.use_button.setDefault(row.usable)
        self.download_button.setDefault(wanted)


def duration_text(seconds: float) -> str:
    """A time span as people say it: ``42 s``, ``3 min``, ``1 h 20 min``."""
    whole = max(1, round(seconds))
    number = QLocale().toString
    if whole < 100:
        return f"{number(whole)} s"
    minutes = round(whole / 60)
    return f"{number(minutes)} min" if minutes < 100 else f"{number(minutes // 60)} h {number(minutes % 60)} min"


def _notes(row: Row) -> list[str]:
    return [caution_text(row.card), row.card.note] if row.card is not None else []


class _Fact(QLabel):
    """A value that can be copied; a form hides it while it has none."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(20 * GAP)

    def show_text(self, text: str) -> None:
        """Show `text`, or the whole line of the form not at all."""
        self.setText(text)
        form = self.parentWidget()
        if isinstance(form, _Form):
            form.rows.setRowVisible(self, bool(text))


class _Message(QWidget):
    """A sentence with an icon that says how serious it is; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._icon = QLabel()
        self._icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._text = QLabel(wordWrap=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        layout.addWidget(self._icon)
        layout.addWidget(self._text, 1)
        self.hide()

    def say(self, name: str, tone: Tone, text: str) -> None:
        """Show a sentence; an empty one hides this."""
        self._icon.setPixmap(icon(name, tone=tone).pixmap(QSize(16, 16), self.devicePixelRatio()))
        self._text.setText(text)
        self.setVisible(bool(text))

    def text(self) -> str:
        """The sentence shown."""
        return self._text.text()


class _Form(QWidget):
    """Facts with their names before them."""

    def __init__(self, *rows: tuple[str, _Fact]) -> None:
        super().__init__()
        self.rows = QFormLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setHorizontalSpacing(2 * GAP)
        self.rows.setVerticalSpacing(GAP // 2)
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, fact in rows:
            label = QLabel(name)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
            self.rows.addRow(label, fact)
