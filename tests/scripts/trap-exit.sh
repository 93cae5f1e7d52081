#!/bin/bash
trap 'echo "cleaned up"' EXIT
echo working
exit 6
