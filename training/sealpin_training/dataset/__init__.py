"""Photos and their labels in, a checked and split dataset of TFRecords out.

source.py      finds photos and label files in a folder   formats/    reads VOC XML, YOLO, COCO, CSV; writes VOC
faults.py      every kind of fault that is looked for     check.py    looks for them, on all cores:
photos.py, boxes.py, names.py, duplicates.py              fix.py      writes a repaired copy
split.py, records.py, convert.py: train, val, test        stats.py, preview.py: what is in it
label.py       starts labelImg                            prelabel.py a model's proposals for it
"""
