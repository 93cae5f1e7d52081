#!/bin/bash
echo "${COLOUR-not there} ${SHAPE-not there}"
