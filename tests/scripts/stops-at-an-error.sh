#!/bin/bash
set -euo pipefail
echo before
false | cat
echo never
