#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# kills.pl SEED KILLS PATIENCE: the slave's daemon, its clock's process, or both are killed while a
# large slew is under way, KILLS times.  A line of JSON for each: the kernel's clock before, right
# after, and once it was tidied.  All is awaited PATIENCE times as long as a quiet host takes.  Only
# what a minimal Debian has in it.
use strict;
use warnings;
use Time::HiRes qw(sleep clock_gettime CLOCK_MONOTONIC CLOCK_REALTIME);

use constant {SYS_adjtimex => 159, CLOCK_MONOTONIC_RAW => 4, DAEMON_BITS => 0x1 | 0x8 | 0x80};
my %units = (daemon => ['berkeley-slave'], clock => ['berkeley-clock@slave'],
             both => ['berkeley-slave', 'berkeley-clock@slave']);
my %processes;
my ($seed, $kills, $patience) = @ARGV;
srand $seed;

# struct timex of 64 bits: modes, offset, freq, maxerror, esterror, status, constant, precision,
# tolerance, seconds, microseconds, tick
sub adjtimex
{
    my $timex = pack 'L x4 q q q q l x4 q q q q q q x160', @_, (0) x (12 - @_);
    syscall(SYS_adjtimex, $timex) >= 0 or die "adjtimex: $!";
    return unpack 'L x4 q q q q l x4 q q q q q q', $timex;
}

sub clock
{
    my (undef, $pll, $freq, undef, undef, $status, undef, undef, undef, undef, undef, $tick) =
        adjtimex(0);
    my (undef, $adjtime) = adjtimex(0xa001);
    $pll *= 1000 unless $status & 0x2000;
    $pll -= 1 << 32 if $pll > 0x7fffffff;
    return {pll_ns => $pll, adjtime_us => $adjtime, ppm => $freq / 65536, status => $status,
            tick_us => $tick};
}

sub json
{
    my ($value) = @_;
    return $value =~ /^-?[\d.]+(e-?\d+)?$/ ? $value : "\"$value\"" unless ref $value;
    return '{' . join(', ', map { "\"$_\": " . json($value->{$_}) } sort keys %$value) . '}';
}

# A daemon that has not been synchronised since it was started hands the kernel hundreds of
# milliseconds at a time; one that has, 2.5 ms at most; one whose clock is settled, far less than
# this.
sub is_slewing
{
    my $now = clock();
    return abs($now->{pll_ns}) + abs($now->{adjtime_us}) * 1e3 > 0.3e6;
}

# Without systemctl, which takes half a second here.
sub pid
{
    my ($unit) = @_;
    $processes{$unit} //= '/sys/fs/cgroup' . qx(systemctl show -P ControlGroup $unit) =~ s/\n//r;
    for my $pid (split ' ', contents("$processes{$unit}/cgroup.procs")) {
        my $words = contents("/proc/$pid/cmdline");
        return $pid if $words =~ /berkeleyd\0/ && $words !~ /--tidy/;
    }
    return 0;
}

sub contents
{
    open my $file, '<', $_[0] or return '';
    local $/;
    return <$file> // '';
}

sub until_true
{
    my ($seconds, $what) = @_;
    my $end = clock_gettime(CLOCK_MONOTONIC) + $seconds * $patience;
    while (!$what->()) {
        return 0 if clock_gettime(CLOCK_MONOTONIC) > $end;
        sleep 0.01;
    }
    return 1;
}

# How far CLOCK_REALTIME has come from the oscillator, us.
sub moved_us
{
    return (clock_gettime(CLOCK_REALTIME) - clock_gettime(CLOCK_MONOTONIC_RAW)) * 1e6;
}

# The daemon has its clock in hand: what is set by hand behind its back then, it notices.
sub is_steered
{
    return clock()->{status} & DAEMON_BITS;
}

# The clock is set by 50 to 150 ms, and the daemon has seen it and begun to slew it back.  What an
# earlier kill left to be slewed may cancel it out: then once more.
sub begin_slew
{
    for (1 .. 5) {
        my $set_us = int((50 + rand 100) * (rand() < 0.5 ? -1e3 : 1e3));
        until_true(60, \&is_steered) or return 0;
        adjtimex(0x100, (0) x 8, $set_us < 0 ? -1 : 0, $set_us < 0 ? $set_us + 1000000 : $set_us);
        sleep 1.2;
        return $set_us if until_true(5, \&is_slewing);
    }
    return 0;
}

for my $kill (1 .. $kills) {
    # The last is not of the clock's process alone: a daemon begun anew comes back in seconds.
    my $kind = ('clock', 'daemon', 'both')[($kills - $kill + 1) % 3];
    my $set_us = begin_slew() or next;
    sleep rand 1.5;
    my @pids = map { pid($_) } @{$units{$kind}};
    my $before = clock();
    my $at_us = moved_us();
    kill 'KILL', @pids;
    my $handed = clock();
    my $tidied = until_true(8, sub {
        return !(clock()->{status} & DAEMON_BITS) if $kind ne 'clock';
        my $pid = pid($units{clock}[0]);
        return $pid && $pid != $pids[0];
    });
    my $after = clock();
    my $moved_us = moved_us() - $at_us;
    my $back = until_true(60, sub {
        my $pid = pid('berkeley-slave');
        return $pid && ($kind eq 'clock' || $pid != $pids[0]);
    });
    print json({kind => $kind, set_us => $set_us, before => $before, handed => $handed,
                tidied => $tidied, after => $after, moved_us => $moved_us, back => $back}), "\n";
}
