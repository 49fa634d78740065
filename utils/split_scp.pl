#!/usr/bin/env perl
# Split a file of lines into several, in order and as evenly as can be.
use strict;
use warnings;

my $usage = <<'END';
Usage: split_scp.pl [--utt2spk=<utt2spk>] in.scp out1.scp out2.scp ...
       split_scp.pl -j <num_jobs> <job_id> [--one-based] [--utt2spk=<utt2spk>] in.scp [out.scp]
The second form writes one part, by default to stdout; job ids start at 0, or at 1 with --one-based.
With --utt2spk no speaker is in two parts.
END

sub fail { print STDERR "split_scp.pl: error: $_[0]\n"; exit 1 }

my ($num_jobs, $job_id, $one_based, $utt2spk) = (0, 0, 0, '');
while (@ARGV && $ARGV[0] =~ /^-./) {
    my $option = shift @ARGV;
    if ($option eq '-j') {
        fail("-j: expected <num_jobs> <job_id>\n$usage") if @ARGV < 2;
        ($num_jobs, $job_id) = splice @ARGV, 0, 2;
        for my $number ($num_jobs, $job_id) {
            fail("-j: '$number', expected a whole number") if $number !~ /^\d+$/;
        }
        fail('-j: 0 jobs, expected 1 or more') if $num_jobs == 0;
    } elsif ($option =~ /^--utt2spk=(.+)$/) {
        $utt2spk = $1;
    } elsif ($option eq '--one-based') {
        $one_based = 1;
    } elsif ($option eq '--help') {
        print $usage;
        exit 0;
    } else {
        fail("unknown option $option\n$usage");
    }
}
if ($num_jobs ? (@ARGV < 1 || @ARGV > 2) : @ARGV < 2) { print STDERR $usage; exit 1 }
fail('--one-based: only together with -j') if $one_based && !$num_jobs;
if ($num_jobs) {
    my $last = $num_jobs - 1 + $one_based;
    fail("-j: job $job_id, expected $one_based to $last") if $job_id < $one_based || $job_id > $last;
    $job_id -= $one_based;
}

my $in = shift @ARGV;
my @outputs = $num_jobs ? ($ARGV[0] // '-') : @ARGV;
my $num_parts = $num_jobs || @outputs;
my @lines = read_lines($in);
my @parts = $utt2spk ? by_speaker(\@lines, $utt2spk, $num_parts) : evenly(\@lines, $num_parts);
if ($num_jobs) {
    write_lines($outputs[0], $parts[$job_id]);
} else {
    write_lines($outputs[$_], $parts[$_]) for 0 .. $#outputs;
}

sub read_lines {
    my ($path) = @_;
    return <STDIN> if $path eq '-';
    open my $stream, '<', $path or fail("$path: $!");
    my @read = <$stream>;
    close $stream;
    return @read;
}

sub write_lines {
    my ($path, $part) = @_;
    if ($path eq '-') {
        print @$part or fail("stdout: $!");
        close STDOUT or fail("stdout: $!");
        return;
    }
    open my $stream, '>', "$path.tmp" or fail("$path.tmp: $!");
    print $stream @$part or fail("$path: $!");
    close $stream or fail("$path: $!");
    rename "$path.tmp", $path or fail("$path: $!");
}

# The first parts have one line more where the division leaves a rest.
sub evenly {
    my ($all, $count) = @_;
    my $total = @$all;
    fail("$in: $total lines, expected at least one for each of $count parts") if $total < $count;
    my ($each, $rest) = (int($total / $count), $total % $count);
    my @split;
    my $start = 0;
    for my $part (0 .. $count - 1) {
        my $size = $each + ($part < $rest ? 1 : 0);
        push @split, [@$all[$start .. $start + $size - 1]];
        $start += $size;
    }
    return @split;
}

# Runs of whole speakers; a part ends where its share of the lines is reached most closely.
sub by_speaker {
    my ($all, $map, $count) = @_;
    my (%speaker_of, %lines_of, @speakers);
    for my $line (read_lines($map)) {
        my @fields = split ' ', $line;
        fail("$map:$.: " . @fields . ' fields, expected "<utt_id> <spk_id>"') if @fields != 2;
        $speaker_of{$fields[0]} = $fields[1];
    }
    for my $line (@$all) {
        my ($utt) = split ' ', $line;
        my $speaker = $speaker_of{$utt // ''} // fail("$in: no speaker of '" . ($utt // '') . "' in $map");
        push @speakers, $speaker if !$lines_of{$speaker};
        push @{$lines_of{$speaker}}, $line;
    }
    fail("$in: " . @speakers . " speakers, expected at least one for each of $count parts")
        if @speakers < $count;
    my @split = map { [] } 1 .. $count;
    my ($part, $done) = (0, 0);
    for my $index (0 .. $#speakers) {
        my $own = @{$lines_of{$speakers[$index]}};
        my $target = @$all * ($part + 1) / $count;
        my $must_move = @{$split[$part]} && @speakers - $index <= $count - 1 - $part;
        my $past = @{$split[$part]} && $done + $own / 2 > $target && $part < $count - 1;
        $part++ if $must_move || $past;
        push @{$split[$part]}, @{$lines_of{$speakers[$index]}};
        $done += $own;
    }
    return @split;
}
