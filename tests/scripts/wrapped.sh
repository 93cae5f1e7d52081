#!/bin/sh
# The file is not used: the command line brings the text.
