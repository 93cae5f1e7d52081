#!/bin/bash
no_such_program --at-all
