# SPDX-License-Identifier: GPL-2.0-or-later
# CPU used in each sliding second, in % of what was bought: work, kind and to are set.
if (kind eq 'svg') { set terminal svg size 1000,700 dynamic } else { set terminal pngcairo size 1000,700 }
set output to . '.' . kind
systems = 'baton unbound cpumax'
titles = "'baton, slots bound to CPUs' 'baton, not bound' 'threads under cgroup cpu.max'"
bought = '1% 5% 10% 20% 30%'
there(s) = system('test -s ' . work . '/used-' . s . '.dat && echo 1 || echo 0') + 0
set multiplot layout 3,1 title 'CPU used in the last second, % of what the tenant bought; all want more'
set yrange [90:110]
set xlabel 's'
set key outside right
set grid ytics
do for [k=1:words(systems)] {
	set title word(titles, k)
	if (there(word(systems, k))) {
		plot for [i=1:5] work . '/used-' . word(systems, k) . '.dat' using 1:(column(i + 1)) \
			with lines title 'of ' . word(bought, i)
	}
}
unset multiplot
