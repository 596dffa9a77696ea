"""From a trained run to what a server or a device runs."""
