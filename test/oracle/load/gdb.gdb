# Symbols with and without debug information, expressions, types.
set pagination off
set confirm off
set $n = 0
while $n < 100000
	file $library
	info functions unwind
	info types walk
	info variables count
	info line modules_scan
	info scope modules_scan
	ptype struct module
	file
	file /proc/self/exe
	info functions ^re_
	file
	set $n = $n + 1
end
