# SPDX-License-Identifier: GPL-3.0-or-later
# udp serve PORT: sends each datagram back to whom it came from, IPv4 and IPv6.
# udp call ADDRESS PORT SECONDS: ends with 0 if a datagram is answered. ADDRESS in hexadecimal digits, 8 or 32.
#
# For busybox speaks no UDP of one's own, and no module of Perl is at hand: hence the numbers of bits/socket.h.

my ($AF_INET, $AF_INET6, $SOCK_DGRAM) = (2, 10, 2);

# struct sockaddr_in or sockaddr_in6: family, port, (flow,) address, (scope)
sub endpoint {
    my ($bytes, $port) = @_;
    return length $bytes == 4 ? pack('S n a4 x8', $AF_INET, $port, $bytes)
        : pack('S n N a16 L', $AF_INET6, $port, 0, $bytes, 0);
}

my $job = shift;
if ($job eq 'serve') {
    my ($port) = @ARGV;
    socket my $service, $AF_INET6, $SOCK_DGRAM, 0 or die "socket: $!\n";
    bind $service, endpoint("\0" x 16, $port) or die "bind: $!\n";
    while (defined(my $peer = recv $service, my $datagram, 2048, 0)) {
        send $service, $datagram, 0, $peer;
    }
} else {
    my ($address, $port, $seconds) = @ARGV;
    my $bytes = pack 'H*', $address;
    socket my $client, length $bytes == 4 ? $AF_INET : $AF_INET6, $SOCK_DGRAM, 0 or die "socket: $!\n";
    connect $client, endpoint($bytes, $port) or die "connect: $!\n";
    send $client, 'call', 0 or die "send: $!\n";
    local $SIG{ALRM} = sub { die "no answer\n" };
    alarm $seconds;
    defined(recv $client, my $answer, 2048, 0) or die "recv: $!\n";
}
