"""The toolkit's command line: from labelled photos to a model on the line."""
