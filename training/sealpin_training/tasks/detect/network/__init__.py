"""The detection network that a recipe names: the Object Detection API's SSD with FPN, as modules for TF-Vision.

photo -> preprocess -> backbone (C2..C5) -> fpn (P3..P7) -> head (boxes, scores) -> detections
"""
