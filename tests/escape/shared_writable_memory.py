# Looks for memory that the zygote shares with its children.
# row: 59
# bare: n/a a bare process has no zygote
# sandboxed: result "nothing"
# layer: process

lines = [line for line in open("/proc/self/maps") if line.split()[1][3] == "s"]
_result = "escaped" if [line for line in lines if "w" in line.split()[1]] else "nothing"
