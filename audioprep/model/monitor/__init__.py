"""The page that compares what a device heard with what its network was trained on."""
