"""What runs on the device: an exported bundle with numpy, scipy, soundfile and onnxruntime, and no torch."""
