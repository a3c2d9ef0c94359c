# Interpreter, sort with a callback, regular expressions, an XS module.
use Digest::SHA qw(sha512_hex);

sub fibonacci { my $n = shift; $n < 2 ? $n : fibonacci($n - 1) + fibonacci($n - 2) }

while (1) {
	my @a = sort { $a <=> $b } map { int(rand(1e6)) } 1 .. 3000;
	my %h;
	$h{ $_ % 97 } .= "$_," for @a;
	my $s = join(",", values %h);
	$s =~ s/(\d)(\d)/$2$1/g;
	$s =~ s/(\d+)/sprintf("%x", $1)/ge;
	sha512_hex($s);
	fibonacci(14);
	my @l = sort { $a->[1] <=> $b->[1] || $a->[0] cmp $b->[0] } map { [ $_, length ] } split /,/, $s;
	sprintf("%s%d", $_->[0], $_->[1]) for @l;
}
