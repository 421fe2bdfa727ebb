"""The panels around the canvas: widgets with setters and signals that know nothing of images, jobs or projects."""
