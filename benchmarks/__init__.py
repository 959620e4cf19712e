"""Programs that measure the layer, or try to break it."""
