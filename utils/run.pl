#!/usr/bin/env perl
# Run a command, or an array of them, on this machine, with a log file for each.
#
#   run.pl [--max-jobs-run <n>] [--num-threads <n>] [--gpu <n>] [--mem <size>] [--config <file>]
#          [JOB=<first>:<last>] <log> <command> [arguments]
#
# JOB in the log's name and in the command becomes the job's number. At once run as many jobs as
# --max-jobs-run says, by default as many as there are processors (or GPUs, with --gpu) for them.
# Memory, time and the options of clusters are accepted and ignored. A job fails also when a part of
# its pipe fails. Exits with 1 if a job failed, and with 130 after Ctrl-C, which ends all jobs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use POSIX qw(:sys_wait_h setpgid);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use JobArray qw(parse_command_line job_command job_log log_header log_footer);

sub fail { print STDERR "run.pl: error: $_[0]\n"; exit 1 }

if (!@ARGV || $ARGV[0] eq '--help' || $ARGV[0] eq '-h') {
    open my $self, '<', $0 or exit 1;
    while (<$self>) { print { @ARGV ? *STDOUT : *STDERR } s/^# ?//r if 2 .. !/^#/ and /^#/ }
    exit(@ARGV ? 0 : 1);
}

my $job = eval { parse_command_line(@ARGV) };
if (!$job) { chomp(my $message = $@); fail($message) }
my $threads = $job->{options}{'num-threads'} // 1;
my $at_once = jobs_at_once($job->{options}, $threads);

my %running;    # process id => { id, log, started }
my %failed;     # job id => why
my $signal = '';
my $waiting = 0;
# Under nohup a closed terminal ends nothing. INT is caught even so, since shells let it be ignored
# by what they start with &, which then would outlive Ctrl-C.
my @caught = ('INT', 'TERM', ($SIG{HUP} // '') eq 'IGNORE' ? () : 'HUP');
for my $name (@caught) {
    # Perl goes on with waitpid after a signal handler: only dying gets out of it.
    $SIG{$name} = sub { $signal = $name; die "stop\n" if $waiting };
}

for my $id ($job->{first} .. $job->{last}) {
    reap(1) while keys(%running) >= $at_once && !$signal;
    last if $signal;
    start($id);
}
reap(1) while %running && !$signal;
stop_all() if $signal;
report() if %failed;
exit 0;

sub jobs_at_once {
    my ($options, $own_threads) = @_;
    my $asked = $options->{'max-jobs-run'} // -1;
    return $asked if $asked > 0;
    if ($options->{gpu}) {
        my $found = () = (qx(nvidia-smi -L 2>/dev/null) // '') =~ /^GPU/mg;
        my $share = int($found / $options->{gpu});
        return $share > 1 ? $share : 1;
    }
    # nproc would take OMP_NUM_THREADS=1 of the caller for the number of processors.
    local %ENV = %ENV;
    delete @ENV{qw(OMP_NUM_THREADS OMP_THREAD_LIMIT)};
    my $processors = qx(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null);
    my $share = int((($processors // '') =~ /^(\d+)/ ? $1 : 1) / $own_threads);
    return $share > 1 ? $share : 1;
}

sub start {
    my ($id) = @_;
    my ($command, $log) = (job_command($job, $id), job_log($job, $id));
    eval { make_path(dirname($log)); 1 } or return refuse($id, dirname($log) . ": $!");
    open my $stream, '>', $log or return refuse($id, "$log: $!");
    print $stream log_header($command);
    close $stream or return refuse($id, "$log: $!");
    my $pid = fork;
    return refuse($id, "fork: $!") if !defined $pid;
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for @caught;
        # A process group of its own, so that everything the job starts can be ended with it.
        setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log or exit 126;
        open STDERR, '>&', \*STDOUT or exit 126;
        exec 'bash', '-c', "set -o pipefail\n$command\n" or exit 127;
    }
    $running{$pid} = { id => $id, log => $log, started => time };
}

sub refuse {
    my ($id, $why) = @_;
    print STDERR "run.pl: error: job $id not started: $why\n";
    $failed{$id} = 'could not be started';
}

# Take note of one job that has ended, with $wait the next one that does; return 0 if there is none.
sub reap {
    my ($wait) = @_;
    my ($pid, $result) = (0, 0);
    eval {
        $waiting = $wait;
        ($pid, $result) = (waitpid(-1, $wait ? 0 : WNOHANG), $?) if !($wait && $signal);
        $waiting = 0;
    };
    $waiting = 0;
    return 0 if $pid <= 0 || !$running{$pid};
    my $ended = delete $running{$pid};
    my ($status, $by_signal) = ($result >> 8, $result & 127);
    my $code = $by_signal ? "$status; signal $by_signal" : $status;
    $failed{$ended->{id}} = $by_signal ? "killed by signal $by_signal" : "exit status $status"
        if $status || $by_signal;
    if (open my $stream, '>>', $ended->{log}) {
        print $stream log_footer($code, time - $ended->{started}, $threads);
        close $stream;
    }
    return 1;
}

sub stop_all {
    $SIG{$_} = 'IGNORE' for @caught;
    for my $name (qw(TERM KILL)) {
        kill $name, map { -$_ } keys %running;
        for (1 .. 30) {
            1 while reap(0);
            last if !%running;
            select undef, undef, undef, 0.1;
        }
    }
    print STDERR "run.pl: stopped by SIG$signal\n";
    exit($signal eq 'INT' ? 130 : $signal eq 'TERM' ? 143 : 129);
}

sub report {
    my @ids = sort { $a <=> $b } keys %failed;
    my $total = $job->{last} - $job->{first} + 1;
    my $first_log = job_log($job, $ids[0]);
    if ($total == 1) {
        print STDERR "run.pl: job failed ($failed{$ids[0]}), log is in $first_log\n";
    } else {
        my $names = join ' ', @ids > 20 ? (@ids[0 .. 19], '...') : @ids;
        print STDERR "run.pl: " . @ids . " / $total failed, jobs $names, log is in $job->{log}\n";
        print STDERR "run.pl: job $ids[0] ($failed{$ids[0]}), log is in $first_log\n";
    }
    if (open my $stream, '<', $first_log) {
        # A log may be large: its last part is enough for the last lines.
        seek $stream, -8192, 2 if -s $first_log > 8192;
        my @lines = grep { !/^\s*$/ } <$stream>;
        my $from = @lines > 12 ? @lines - 12 : 0;
        print STDERR "  | $_" for @lines[$from .. $#lines];
    }
    exit 1;
}
