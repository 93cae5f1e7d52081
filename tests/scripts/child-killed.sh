#!/bin/bash
sh -c 'kill -9 $$' 2>/dev/null
