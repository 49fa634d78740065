#!/usr/bin/env perl
# Turn lines of <utt_id> <spk_id> into lines of <spk_id> <utt_id> ..., speakers as they first come.
use strict;
use warnings;

if (@ARGV > 1 || (@ARGV && $ARGV[0] =~ /^-./)) {
    my $help = @ARGV == 1 && $ARGV[0] eq '--help';
    print { $help ? *STDOUT : *STDERR } "Usage: utt2spk_to_spk2utt.pl [utt2spk] > spk2utt\n";
    exit($help ? 0 : 1);
}
my $path = $ARGV[0] // '-';
my $input = \*STDIN;
if ($path ne '-') {
    open $input, '<', $path or do { print STDERR "utt2spk_to_spk2utt.pl: error: $path: $!\n"; exit 1 };
}

my (@speakers, %utts_of);
while (my $line = <$input>) {
    my @fields = split ' ', $line;
    if (@fields != 2) {
        print STDERR "utt2spk_to_spk2utt.pl: error: $path:$.: "
            . @fields . " fields, expected \"<utt_id> <spk_id>\"\n";
        exit 1;
    }
    push @speakers, $fields[1] if !$utts_of{$fields[1]};
    push @{$utts_of{$fields[1]}}, $fields[0];
}
print "$_ @{$utts_of{$_}}\n" for @speakers;
close STDOUT or do { print STDERR "utt2spk_to_spk2utt.pl: error: stdout: $!\n"; exit 1 };
