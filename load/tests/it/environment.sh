#!/bin/sh
# Stands for a gateway: prints its environment and ends.
exec env
