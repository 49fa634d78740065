#!/usr/bin/env perl
# Turn lines of <spk_id> <utt_id> ... into lines of <utt_id> <spk_id>, in the order of the input.
use strict;
use warnings;

if (@ARGV > 1 || (@ARGV && $ARGV[0] =~ /^-./)) {
    my $help = @ARGV == 1 && $ARGV[0] eq '--help';
    print { $help ? *STDOUT : *STDERR } "Usage: spk2utt_to_utt2spk.pl [spk2utt] > utt2spk\n";
    exit($help ? 0 : 1);
}
my $path = $ARGV[0] // '-';
my $input = \*STDIN;
if ($path ne '-') {
    open $input, '<', $path or do { print STDERR "spk2utt_to_utt2spk.pl: error: $path: $!\n"; exit 1 };
}

my @rows;
while (my $line = <$input>) {
    my ($speaker, @utts) = split ' ', $line;
    if (!@utts) {
        print STDERR "spk2utt_to_utt2spk.pl: error: $path:$.: no utterance, "
            . "expected \"<spk_id> <utt_id> ...\"\n";
        exit 1;
    }
    push @rows, map { "$_ $speaker\n" } @utts;
}
print @rows;
close STDOUT or do { print STDERR "spk2utt_to_utt2spk.pl: error: stdout: $!\n"; exit 1 };
