"""Programs that measure this layer against others."""
