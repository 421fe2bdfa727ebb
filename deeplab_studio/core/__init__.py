"""Images, label sets, class maps and data sets on disk. Needs numpy, OpenCV and Pillow; never torch or Qt."""
