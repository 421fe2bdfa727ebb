"""What ``models inspect`` tells of a model, for a person and for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deeplab_studio.engine.anatomy import backbone_title

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deeplab_studio.checkpoints.model import LoadedModel, SizeRule
    from deeplab_studio.checkpoints.native import Header
    from deeplab_studio.checkpoints.starters import StarterCard
    from deeplab_studio.engine.anatomy import Anatomy
    from deeplab_studio.networks.inspection import Convolution

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


def facts(
    model: LoadedModel, header: Header | None, anatomy: Anatomy, starter: StarterCard | None = None
) -> list[tuple[str, str]]:
    """What is known of a model, as names and values."""
    inspection, trace = anatomy.inspection, anatomy.inspection.trace
    what = "in tiles of" if anatomy.tiled else "shown to the network at"
    found = [
        ("file", str(model.path)),
        ("id", model.model_id),
        ("sha256", model.sha256),
        ("dialect", model.dialect),
        ("version", f"{model.version}, backbone {backbone_title(model.profile.backbone.name)}"),
        ("classes", f"{len(model.classes)}: {', '.join(model.classes.names)}"),
        ("preprocessing", preprocessing_text(model)),
        ("photo", f"{size(anatomy.photo_size)}, {what} {size(inspection.input_size)}"),
        ("output stride", strides_text(model)),
        ("scores", f"{size(trace.score_size)}, stride {model.profile.score_stride}"),
        ("scales", scales_text(model)),
        ("parameters", f"{trace.parameters:,}"),
        ("multiply-adds", f"{trace.multiply_adds:,}{' per tile' if anatomy.tiled else ''}"),
        ("receptive field", f"{trace.receptive_field:,} pixels{'; the whole image' * trace.image_level}"),
    ]
    if header is not None:
        origin = header.provenance
        found.insert(
            3,
            ("converted from", f"{origin.source} ({origin.dialect}, sha256 {origin.sha256})")
            if origin.sha256
            else ("made by", origin.source),
        )
        if origin.licence:
            found.insert(4, ("licence", origin.licence))
    if starter is not None:
        result = starter.result
        found += [
            ("starter model", starter.description),
            ("trained with", f"{starter.command}; {starter.data}"),
            ("knows", _figures(starter, starter.known)),
            ("hardly knows", _figures(starter, starter.hardly_known)),
            ("mIoU", f"{result.miou_known:.3f} of what it knows, {result.miou:.3f} of all, on {result.measured_on}"),
        ]
    return found


def strides_text(model: LoadedModel) -> str:
    """The output stride of a model, and those it could have."""
    others = [str(stride) for stride in model.output_strides if stride != model.output_stride]
    return "; also ".join(filter(None, (str(model.output_stride), ", ".join(others))))


def scales(model: LoadedModel) -> tuple[float, ...]:
    """The scales at which a model looks at a photo, the largest first."""
    more = model.profile.multi_scale.scales if model.profile.multi_scale is not None else ()
    return tuple(sorted((1.0, *more), reverse=True))


def scales_text(model: LoadedModel) -> str:
    """The scales at which a model looks at a photo, and whether that is open."""
    looked_at = scales(model)
    several = any(way.scales == "multi" for way in model.geometries)
    if len(looked_at) == 1:
        return "one; published with several" if several else "one"
    return f"{', '.join(f'{scale:g}' for scale in looked_at)}, their largest scores; also one alone"


def _figures(starter: StarterCard, names: Iterable[str]) -> str:
    iou = starter.result.iou
    figures = ((name, iou.get(name)) for name in names)
    return ", ".join(name if value is None else f"{name} {value:.2f}" for name, value in figures)


def tables(anatomy: Anatomy) -> list[Table]:
    """Atrous and separable convolutions as tables: title, column names, rows."""
    inspection = anatomy.inspection
    found: list[Table] = []
    if inspection.atrous:
        columns: tuple[str, ...] = ("layer", "number", "kernel", "rate", "effective", "feature map", "valid taps")
        found.append(("Atrous convolutions", columns, [_atrous_row(*group) for group in inspection.atrous]))
    if inspection.separable:
        rows: list[tuple[str, ...]] = []
        for part, pairs in inspection.separable:
            ours = sum(pair.multiply_adds for pair in pairs)
            dense = sum(pair.dense_multiply_adds for pair in pairs)
            saved = f"{1 - ours / dense:.0%}"
            rows.append((part, str(len(pairs)), f"{ours:,}", f"{dense:,}", saved))
        columns = ("part", "number", "multiply-adds", "if they were dense", "saved")
        found.append(("Separable convolutions", columns, rows))
    return found


def warnings(anatomy: Anatomy) -> list[str]:
    """A sentence for every rate that exceeds its feature map."""
    return [
        f"{layer.name}: rate {layer.rate[0]} exceeds the feature map of {size(layer.map_size)}; "
        f"the {square(layer.kernel)} kernel works as {square(layer.working_kernel)}, "
        f"{layer.valid_taps:.0%} of its taps are valid."
        for layer, _ in anatomy.inspection.degenerate
    ]


def document(model: LoadedModel, header: Header | None, anatomy: Anatomy) -> dict[str, Any]:
    """The same for a program; sizes are (height, width)."""
    import dataclasses

    inspection, trace = anatomy.inspection, anatomy.inspection.trace
    return {
        "file": str(model.path),
        "id": model.model_id,
        "title": model.title,
        "sha256": model.sha256,
        "dialect": model.dialect,
        "version": model.version,
        "backbone": model.profile.backbone.name,
        "classes": list(model.classes.names),
        "provenance": dataclasses.asdict(header.provenance) if header is not None else None,
        "profile": dataclasses.asdict(model.profile),
        "preprocessing": dataclasses.asdict(model.preprocessing),
        "photo_size": list(anatomy.photo_size),
        "input_size": list(inspection.input_size),
        "tiled": anatomy.tiled,
        "score_size": list(trace.score_size),
        "output_stride": model.output_stride,
        "output_strides": list(model.output_strides),
        "scales": list(scales(model)),
        "score_stride": model.profile.score_stride,
        "parameters": trace.parameters,
        "multiply_adds": trace.multiply_adds,
        "receptive_field": trace.receptive_field,
        "image_level": trace.image_level,
        "atrous": [
            {
                "layer": layer.name,
                "number": count,
                "kernel": list(layer.kernel),
                "rate": list(layer.rate),
                "effective_kernel": list(layer.effective_kernel),
                "feature_map": list(layer.map_size),
                "valid_taps": layer.valid_taps,
                "working_kernel": list(layer.working_kernel),
            }
            for layer, count in inspection.atrous
        ],
        "separable": [
            {
                "part": part,
                "number": len(pairs),
                "multiply_adds": sum(pair.multiply_adds for pair in pairs),
                "dense_multiply_adds": sum(pair.dense_multiply_adds for pair in pairs),
            }
            for part, pairs in inspection.separable
        ],
        "warnings": warnings(anatomy),
    }


def preprocessing_text(model: LoadedModel) -> str:
    """How a photo becomes the network's input, in a line."""
    how = model.preprocessing
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (how.mean, how.std))
    padding = f", padded to {how.pad_to}" if how.pad_to else ""
    padding += f", padded to a multiple of {how.multiple_of}" if how.multiple_of > 1 else ""
    return f"{_rule_text(how.size)}{padding}; {how.colour_order}: (level / {how.divisor:g} - ({mean})) / ({std})"


def size(pair: tuple[int, int]) -> str:
    """(height, width) as people write it."""
    return f"{pair[1]} x {pair[0]}"


def square(pair: tuple[int, int]) -> str:
    """A kernel's (height, width)."""
    return f"{pair[0]}x{pair[1]}"


def _rule_text(rule: SizeRule) -> str:
    if rule.side == "native":
        return "own size"
    return f"{rule.side} side {'' if rule.enlarge else 'at most '}{rule.pixels} ({rule.filter})"


def _atrous_row(layer: Convolution, count: int) -> tuple[str, ...]:
    return (
        layer.name + (" (depthwise)" if layer.is_depthwise else ""),
        str(count),
        square(layer.kernel),
        str(layer.rate[0]) if layer.rate[0] == layer.rate[1] else square(layer.rate),
        square(layer.effective_kernel),
        size(layer.map_size),
        f"{layer.valid_taps:.0%}",
    )
