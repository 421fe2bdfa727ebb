"""Models side by side: panes with a model each, where they differ, and what of theirs a person takes over."""
