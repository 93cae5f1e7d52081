#!/bin/bash
( sleep 600; echo never ) &
setsid sleep 601 &
echo "done"
