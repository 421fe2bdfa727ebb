"""Teaching models: data sets in Pascal VOC layout, augmentation, losses, distillation, the loop. Free of Qt."""
