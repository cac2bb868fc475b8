# SPDX-License-Identifier: GPL-2.0-or-later
# CPU used in each sliding second, in % of what was bought: work, kind and to are set.
# From 90 to 110%, or more where something is outside of that. Grey: how much of all CPUs
# others had while tasks with a slot wanted them, in %.
if (kind eq 'svg') { set terminal svg size 1000,800 dynamic background 'white' } else { set terminal pngcairo size 1000,800 }
set output to . '.' . kind
systems = 'baton unbound cpumax'
titles = "'baton, slots bound to CPUs' 'baton, slots not bound' 'plain threads under cgroup cpu.max'"
bought = '1 5 10 20 30'
array colour[5] = ['#c00000', '#e08000', '#008040', '#0060c0', '#703090']
there(s) = system('test -s ' . work . '/used-' . s . '.dat && echo 1 || echo 0') + 0
set multiplot layout 3,1 title "What tenants used in the last second, each of what it bought; all want more" font ',13' \
	margins 0.08,0.83,0.07,0.90 spacing 0.1,0.11
set xlabel 'seconds since the start' offset 0,0.5
set ylabel '% of the quota'
set key at screen 0.99, graph 1 right top title 'quota' spacing 1.1
set grid ytics lc rgb '#dddddd'
set style fill solid 0.25 noborder
set yrange [0<*<90:110<*<200]
set y2range [0:100]
do for [k=1:words(systems)] {
	if (!there(word(systems, k))) { continue }
	set title word(titles, k) offset 0,-0.5
	f = work . '/used-' . word(systems, k) . '.dat'
	if (word(systems, k) eq 'cpumax') {
		unset y2tics
		plot 100 lc rgb '#888888' dt 2 notitle, \
			for [i=1:5] f using 1:(column(i + 1)) with lines lw 1.5 lc rgb colour[i] title word(bought, i) . '%'
	} else {
		set y2tics 0,50,100 offset -0.5,0
		plot f using 1:7 axes x1y2 with filledcurves y=0 lc rgb '#606060' title 'others', \
			100 lc rgb '#888888' dt 2 notitle, \
			for [i=1:5] f using 1:(column(i + 1)) with lines lw 1.5 lc rgb colour[i] title word(bought, i) . '%'
	}
}
unset multiplot
