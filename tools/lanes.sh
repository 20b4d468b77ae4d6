#!/bin/sh
# Prints how the tests run side by side: two processes, each with a loopback of its own, where this machine allows that;
# else nothing, which means one after the other. Two processes on one loopback would take each other's ports.
set -eu
if [ "$(id -u)" = 0 ] && command -v unshare >/dev/null && unshare --net true 2>/dev/null; then
    echo "-n 2 --dist loadfile"
fi
