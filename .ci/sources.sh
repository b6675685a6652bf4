# SPDX-License-Identifier: Apache-2.0
# sources.sh - read by the scripts beside it: what the project's files are.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# c_files FOLDER... - every C and C++ file below the folders.
c_files()
{
    find "$@" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) |
        LC_ALL=C sort
}

# conclude NAME FAILURES - the last line of a check, and its exit status.
conclude()
{
    if [ "$2" -ne 0 ]; then
        echo "$1: $2 to mend" >&2
        exit 1
    fi
    echo "$1: good"
}
