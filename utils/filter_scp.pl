#!/usr/bin/env perl
# Keep the lines whose id is (or, with --exclude, is not) in a list.
use strict;
use warnings;

my $usage = <<'END';
Usage: filter_scp.pl [--exclude] [-f <field>] <id_list> [in.scp] > out.scp
The id is field 1 of in.scp, or the one that -f names; that of the list is its first field.
END

sub fail { print STDERR "filter_scp.pl: error: $_[0]\n"; exit 1 }

my ($exclude, $field) = (0, 1);
while (@ARGV && $ARGV[0] =~ /^-./) {
    my $option = shift @ARGV;
    if ($option eq '--exclude') {
        $exclude = 1;
    } elsif ($option eq '-f') {
        $field = shift(@ARGV) // '';
        fail("-f: '$field', expected a field number from 1 on") if $field !~ /^[1-9]\d*$/;
    } elsif ($option eq '--help') {
        print $usage;
        exit 0;
    } else {
        fail("unknown option $option\n$usage");
    }
}
if (@ARGV < 1 || @ARGV > 2) { print STDERR $usage; exit 1 }

my ($list, $in) = ($ARGV[0], $ARGV[1] // '-');
my %listed;
my $ids = source($list);
while (my $line = <$ids>) {
    my ($id) = split ' ', $line;
    fail("$list:$.: blank line, expected an id") if !defined $id;
    $listed{$id} = 1;
}
close $ids;

my $rows = source($in);
while (my $line = <$rows>) {
    my @fields = split ' ', $line;
    fail("$in:$.: " . @fields . " fields, expected at least $field") if @fields < $field;
    my $found = exists $listed{$fields[$field - 1]};
    print $line if $found xor $exclude;
}
close STDOUT or fail("stdout: $!");

sub source {
    my ($path) = @_;
    return \*STDIN if $path eq '-';
    open my $stream, '<', $path or fail("$path: $!");
    return $stream;
}
