/* A bare libpcap loop: counts the frames of a capture, and looks at none. */
#include <pcap/pcap.h>
#include <stdio.h>

static void count(u_char *frames, const struct pcap_pkthdr *header, const u_char *bytes)
{
    (void)header;
    (void)bytes;
    ++*(unsigned long *)frames;
}

int main(int argc, char **argv)
{
    char error[PCAP_ERRBUF_SIZE];
    unsigned long frames = 0;
    pcap_t *capture = argc == 2 ? pcap_open_offline(argv[1], error) : NULL;

    if (!capture || pcap_loop(capture, -1, count, (u_char *)&frames)) {
        fprintf(stderr, "usage: count CAPTURE\n");
        return 1;
    }
    printf("%lu\n", frames);
    return 0;
}
