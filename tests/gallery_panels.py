"""Draw every panel with realistic content, light and dark, at one and two pixels per point.

    python tests/gallery_panels.py OUT [--photos FOLDER] [--only NAME]

Each combination runs in a process of its own, because Qt reads the scale factor when it starts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QWidget


def crf() -> QWidget:
    from deeplab_studio.app.panels.crf import CrfPanel
    from deeplab_studio.crf.presets import PRESETS

    panel = CrfPanel()
    panel.set_presets(PRESETS)
    panel.set_params(PRESETS[1].params)
    panel.set_status("Exact, 38 ms", "exact")
    panel.resize(296, 400)
    return panel


def classes() -> QWidget:
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.core.labels import VOC_LABELS

    panel = ClassesPanel()
    panel.set_label_set(VOC_LABELS)
    panel.set_present({0: 0.7043, 15: 0.1831, 2: 0.0912, 255: 0.0207, 5: 0.0004, 77: 0.0003})
    panel.set_active(15)
    panel.set_protected({2})
    panel.set_hidden({5, 9})
    panel.resize(280, 520)
    return panel


def classes_long() -> QWidget:
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.core.labels import LabelSet

    names = (
        "하늘 도로 건물 담장 울타리 기둥 신호등 교통표지판 초목 지형 사람 라이더 자동차 트럭 버스 기차 오토바이 자전거"
    ).split()
    panel = ClassesPanel()
    panel.set_label_set(LabelSet.from_names([*names, *(f"아주 긴 이름을 가진 세부 분류 항목 {n}" for n in range(230))]))
    panel.set_present({0: 0.31, 3: 0.42, 11: 0.0123})
    panel.set_active(3)
    panel.set_only_over({0, 1, 3})
    panel.resize(280, 520)
    return panel


def files(photos: Path | None) -> QWidget:
    from PySide6.QtCore import QSize, Qt
    from PySide6.QtGui import QImageReader

    from deeplab_studio.app.panels.file_model import STATES
    from deeplab_studio.app.panels.files import FilesPanel, ItemRow

    found = sorted(photos.iterdir())[:40] if photos is not None else [Path(f"2007_{n:06}.jpg") for n in range(40)]
    rows = [ItemRow(n, path.name, path, STATES[(0, 2, 2, 1, 3, 4, 0, 2)[n % 8]]) for n, path in enumerate(found)]
    rows[3] = ItemRow(3, "서울_2024-11-03_강남역_사거리_야간_촬영_원본_0003.jpg", found[3], "in progress")
    rows[6] = ItemRow(6, found[6].name, found[6], "new", "The file ends in the middle of the picture.")
    panel = FilesPanel()

    def answer(item_id: int) -> None:
        reader = QImageReader(str(rows[item_id].path))
        reader.setScaledSize(reader.size().scaled(panel.thumbnail_size(), Qt.AspectRatioMode.KeepAspectRatio))
        if item_id != 6 and reader.canRead():
            panel.set_thumbnail(item_id, reader.read())

    panel.thumbnailNeeded.connect(answer)
    panel.resize(QSize(280, 520))
    panel.set_items(rows)
    panel.set_current(2)
    return panel


def view() -> QWidget:
    from deeplab_studio.app.panels.view import ViewPanel

    panel = ViewPanel()
    panel.set_tone(0.1, 0, 1.6)
    panel.resize(280, 300)
    return panel


def model_bar() -> QWidget:
    from deeplab_studio.app.panels.model_bar import DeviceEntry, ModelBar, ModelEntry

    bar = ModelBar()
    bar.set_models(
        [
            ModelEntry("a", "DeepLabv3 MobileNetV2 (TF model zoo)", "v3"),
            ModelEntry("b", "DeepLabv3+ Xception-65", "v3+"),
        ]
    )
    bar.set_model("a")
    bar.set_devices([DeviceEntry("auto", "Auto"), DeviceEntry("cuda:0", "CUDA", False, "No NVIDIA driver was found")])
    bar.set_ready(True)
    bar.set_automatic(True)
    bar.set_progress("Predicting, tile 3 of 12", 0.28)
    bar.resize(1100, 34)
    return bar


def empty(mode: Literal["image", "model"]) -> QWidget:
    from deeplab_studio.app.panels.empty_state import EmptyState

    ground = QWidget()
    ground.resize(720, 460)
    state = EmptyState(ground)
    state.set_recent([Path("/home/minji/datasets/VOCdevkit/VOC2012"), Path("/home/minji/사진/2024 여름 제주도/원본")])
    state.set_mode(mode)
    return ground


def status() -> QWidget:
    from deeplab_studio.app.panels.status import ClassScore, StatusArea

    area = StatusArea()
    area.set_device("CUDA", (2_300_000_000, 149_000_000_000), "NVIDIA H200")
    area.set_zoom(0.67)
    area.set_position(1204, 877)
    area.set_class("person", (192, 128, 128), pinned=True)
    area.set_scores(
        [
            ClassScore("person", (192, 128, 128), 0.914),
            ClassScore("pottedplant", (0, 64, 0), 0.052),
            ClassScore("chair", (192, 0, 0), 0.021),
        ]
    )
    area.set_job("Predicting 2007_000129.jpg", 0.4)
    area.show_notice("truncated.jpg: the file ends in the middle of the picture. Copy it again.", "error")
    area.show_notice("deep.tif: 32-bit values are not supported. Save it as 16-bit.", "error")
    area.resize(1280, 26)
    return area


PANELS: dict[str, Callable[[Path | None], QWidget]] = {
    "files": files,
    "view": lambda _: view(),
    "model_bar": lambda _: model_bar(),
    "empty_image": lambda _: empty("image"),
    "empty_model": lambda _: empty("model"),
    "status": lambda _: status(),
    "crf": lambda _: crf(),
    "classes": lambda _: classes(),
    "classes_long": lambda _: classes_long(),
}


def settle() -> None:
    loop = QEventLoop()
    QTimer.singleShot(120, loop.quit)
    loop.exec()


def draw(out: Path, photos: Path | None, scheme: str, scale: int, only: str | None) -> None:
    from deeplab_studio.app.theme import Theme

    app = QApplication([])
    Theme(app, scheme)  # type: ignore[arg-type]
    for name, build in PANELS.items():
        if only and name != only:
            continue
        panel = build(photos)
        panel.show()
        settle()
        target = out / f"{name}_{scheme}_{scale}x.png"
        panel.grab().save(str(target))
        panel.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, help="folder whose pictures become thumbnails")
    parser.add_argument("--only", help=f"one of {', '.join(PANELS)}")
    parser.add_argument("--scheme", choices=("light", "dark"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.scheme:
        scale = int(os.environ["QT_SCALE_FACTOR"])
        draw(arguments.out, arguments.photos, arguments.scheme, scale, arguments.only)
        return
    for scheme in ("light", "dark"):
        for scale in ("1", "2"):
            environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale}
            subprocess.run([sys.executable, *sys.argv, "--scheme", scheme], env=environment, check=True)


if __name__ == "__main__":
    main()
