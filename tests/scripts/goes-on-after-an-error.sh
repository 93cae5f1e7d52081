#!/bin/bash
false
no_such_program 2>/dev/null
echo after
