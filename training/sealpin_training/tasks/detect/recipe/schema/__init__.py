"""What a recipe may say: the messages of the Object Detection API's `pipeline.config`, as frozen dataclasses.

Field names and defaults are those of the API's `object_detection/protos/*.proto` (TensorFlow Model Garden, research).
`None` stands for a message that the file leaves out. The classes are the only table of what sealpin does with a recipe:

    name: type = default                 honoured: the value means what it means in the API
    name: type = idle(default, why)      read, without effect on what is trained or found
    name: type = fixed(default, instead) only this value is followed; with another, training does something else

text.py derives the parser from these classes, so a field that is added here can be read at once.
"""
