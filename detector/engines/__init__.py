"""What a detector runs on: torch, OpenVINO or ONNX Runtime, behind one interface. Only torch's imports torch."""
