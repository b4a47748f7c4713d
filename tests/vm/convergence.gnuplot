# SPDX-License-Identifier: BSD-2-Clause
# berkeley.dat and chrony.dat of the suite "convergence" to convergence.png.
set terminal png size 1000,640 font "DejaVuSans,10"
set output 'convergence.png'
set multiplot layout 2,2 title 'Five kernel clocks, offset to their mean; vm1 is master or server'
set grid lc rgb '#dddddd'
set xlabel 'seconds since the start' offset 0,0.5
set key top right horizontal samplen 1
array colours[5] = ['#000000', '#d55e00', '#0072b2', '#009e73', '#cc79a7']
do for [daemon in 'berkeley chrony'] {
    set title daemon.': the start'
    set ylabel 'ms' offset 1
    set xrange [0:40]
    set yrange [-600:600]
    plot for [i = 1:5] daemon.'.dat' using 1:(column(i + 1) / 1000) with lines \
        lw 2 lc rgb colours[i] notitle
    set title daemon.': from then on'
    set ylabel 'µs' offset 1
    set xrange [30:330]
    set yrange [-250:250]
    plot for [i = 1:5] daemon.'.dat' every 4 using 1:(column(i + 1)) with lines \
        lc rgb colours[i] title 'vm'.i
}
unset multiplot
