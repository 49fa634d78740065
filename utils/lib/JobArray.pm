package JobArray;

# What run.pl and its kin for clusters share: the command line
#   <name>.pl [options] [JOB=<first>:<last>] <log> <command> [arguments]
# and the text of each job and of its log.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(parse_command_line job_command job_log log_header log_footer);

# Options with a value that any of the programs understands, or ignores knowingly.
my %TAKES_VALUE = map { $_ => 1 } qw(config mem num-threads max-jobs-run gpu time);
my %NUMBER = (
    'num-threads'  => qr/^[1-9]\d*$/,
    'max-jobs-run' => qr/^(?:[1-9]\d*|-1)$/,
    'gpu'          => qr/^\d+$/,
);
# Options of Grid Engine, with how many values follow.
my %GRID_ENGINE = ('-V' => 0, '-l' => 1, '-q' => 1, '-sync' => 1, '-tc' => 1, '-pe' => 2);

# Return { options, name, first, last, log, command } for @arguments; dies with one line.
# With a --config any --<word> <value> is accepted, since the config may define it.
sub parse_command_line {
    my (@arguments) = @_;
    my $job = { options => {}, name => '', first => 1, last => 1 };
    my @unknown;
    while (@arguments) {
        my $word = $arguments[0];
        if ($word =~ /^([A-Za-z_]\w*)=(-?\d+)(?::(-?\d+))?$/) {
            die "$word: a second job range, expected one\n" if $job->{name};
            @$job{qw(name first last)} = ($1, $2, $3 // $2);
            die "$word: starts below 1, expected 1 or more\n" if $job->{first} < 1;
            die "$word: ends before it starts, expected <first>:<last>\n"
                if $job->{last} < $job->{first};
            shift @arguments;
        } elsif ($word =~ /^-./) {
            push @unknown, parse_option($job->{options}, \@arguments);
        } else {
            last;
        }
    }
    if (@unknown && !$job->{options}{config}) {
        die "unknown option $unknown[0], expected one of "
            . join(' ', map { "--$_" } sort keys %TAKES_VALUE) . "\n";
    }
    die "no log file and command, expected [options] [JOB=1:<n>] <log> <command>\n"
        if @arguments < 2;
    ($job->{log}, my @command) = @arguments;
    $job->{command} = shell_line(@command);
    if ($job->{last} > $job->{first} && $job->{log} !~ /\Q$job->{name}\E/) {
        die "$job->{log}: one log for many jobs, expected $job->{name} in its name\n";
    }
    return $job;
}

# Move one option from @$arguments to %$options; return its name if it is not known.
sub parse_option {
    my ($options, $arguments) = @_;
    my $word = shift @$arguments;
    if (exists $GRID_ENGINE{$word}) {
        my $count = $GRID_ENGINE{$word};
        die "$word: expected $count value(s) after it\n" if @$arguments < $count;
        my @values = splice @$arguments, 0, $count;
        $options->{'num-threads'} = $values[1] if $word eq '-pe';
        $options->{'max-jobs-run'} = $values[0] if $word eq '-tc';
        return;
    }
    die "unknown option $word\n" if $word !~ /^--(.+)$/;
    (my $name = $1) =~ tr/_/-/;
    die "$word: no value, expected one\n" if !@$arguments;
    my $value = shift @$arguments;
    my $pattern = $NUMBER{$name};
    die "$word: '$value', expected a number\n" if $pattern && $value !~ $pattern;
    $options->{$name} = $value;
    return $TAKES_VALUE{$name} ? () : $word;
}

# Kaldi's quoting: a word without white space stays as it is, so that an escaped | > or $x reaches
# the job's shell; other words are quoted.
sub shell_line {
    my @quoted;
    for my $word (@_) {
        if ($word =~ /^\S+$/) {
            push @quoted, $word;
        } elsif ($word =~ /"/) {
            (my $inner = $word) =~ s/'/'\\''/g;
            push @quoted, "'$inner'";
        } else {
            push @quoted, "\"$word\"";
        }
    }
    return join ' ', @quoted;
}

sub for_job {
    my ($text, $job, $id) = @_;
    $text =~ s/\Q$job->{name}\E/$id/g if $job->{name};
    return $text;
}

sub job_command { my ($job, $id) = @_; return for_job($job->{command}, $job, $id) }
sub job_log { my ($job, $id) = @_; return for_job($job->{log}, $job, $id) }

sub log_header {
    my ($command) = @_;
    return "# $command\n# Started at " . localtime() . "\n#\n";
}

sub log_footer {
    my ($code, $seconds, $threads) = @_;
    return "# Accounting: time=$seconds threads=$threads\n"
        . "# Ended (code $code) at " . localtime() . ", elapsed time $seconds seconds\n\n";
}

1;
