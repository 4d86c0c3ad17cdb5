"""Detection: boxes, by the Object Detection API's SSD with FPN and its pipeline.config."""
