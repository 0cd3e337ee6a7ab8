//! The closed vocabularies of the hot path. Their names are the strings that people see.

/// Declares an enum of bytes with one stable name per variant.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every variant in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name that people see.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

pub(crate) use words;

words! {
    /// What a message is in its exchange.
    Role {
        /// Asks for something.
        Request = "request",
        /// Answers a request.
        Response = "response",
        /// Was sent unasked by design (unsolicited, published).
        Report = "report",
    }
}

words! {
    /// What a message does, the same words for all protocols.
    Activity {
        /// Reads process data.
        Read = "read",
        /// Writes process data.
        Write = "write",
        /// Starts, stops, restarts, selects or operates.
        Control = "control",
        /// Moves logic or firmware.
        Program = "program",
        /// Changes how a device works.
        Configure = "configure",
        /// Reports data or events unasked.
        Report = "report",
        /// Identifies or enumerates.
        Browse = "browse",
        /// Opens, keeps or closes a session.
        Session = "session",
        /// Reads or sets the clock.
        Time = "time",
        /// Moves files or file records.
        File = "file",
        /// Runs diagnostics.
        Diagnose = "diagnose",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// How an item is touched.
    Access {
        /// Its value is read.
        Read = "read",
        /// Its value is written.
        Write = "write",
        /// It is commanded (select, operate, force).
        Control = "control",
        /// Its value is reported unasked.
        Report = "report",
    }
}

words! {
    /// How the raw bits of a value are to be read.
    ValueKind {
        /// One bit.
        Bit = "bit",
        /// An unsigned integer.
        Unsigned = "unsigned",
        /// A signed integer; `raw` holds its two's complement in 64 bits.
        Signed = "signed",
        /// An IEEE 754 number; `raw` holds the bits of a double.
        Float = "float",
        /// Text; `raw` is unused.
        Text = "text",
        /// A moment; `raw` holds nanoseconds since the epoch, in two's complement.
        Time = "time",
        /// The place of a message in its series, unsigned: it says nothing of the process.
        Sequence = "sequence",
    }
}

words! {
    /// By what an endpoint was seen to have a MAC.
    Sighted {
        /// It sends with it.
        Used = "used",
        /// It asks by ARP for another one's.
        Request = "request",
        /// It answers by ARP who asked for it.
        Reply = "reply",
        /// It answers by ARP, though nobody asked.
        Unasked = "unasked",
        /// It announces itself by ARP: sender and target are the same (RFC 5227, clause 3).
        Announcement = "announcement",
    }
}

words! {
    /// What became of a TCP connection.
    ConnectionState {
        /// A SYN was seen and no answer yet.
        Attempted = "attempted",
        /// It is established (handshake seen, or data seen in the middle).
        Open = "open",
        /// The server refused (RST to SYN).
        Refused = "refused",
        /// It was closed in order (FIN), or it was forgotten after long silence.
        Closed = "closed",
        /// It was aborted (RST).
        Reset = "reset",
    }
}

words! {
    /// What a packet was taken out of, between the frame and itself.
    Encapsulation {
        /// LLC with SNAP (IEEE 802.2, RFC 1042).
        LlcSnap = "llc-snap",
        /// A stack of MPLS labels (RFC 3032), over Ethernet, GRE or IP.
        Mpls = "mpls",
        /// An Ethernet pseudowire over MPLS (RFC 4448).
        Pseudowire = "pseudowire",
        /// A `PPPoE` session (RFC 2516).
        Pppoe = "pppoe",
        /// A time stamp that Cisco's Nexus switches put before the `EtherType` (`TTag`).
        CiscoTtag = "cisco-ttag",
        /// A security group tag of Cisco's switches (Cisco `MetaData`).
        CiscoCmd = "cisco-cmd",
        /// IP in IP (RFC 2003, RFC 2473, RFC 4213).
        IpInIp = "ip-in-ip",
        /// GRE (RFC 2784, RFC 2890) around a packet or an Ethernet frame.
        Gre = "gre",
        /// ERSPAN of type I, II or III: a mirror port over GRE (draft-foschiano-erspan).
        Erspan = "erspan",
        /// VXLAN (RFC 7348).
        Vxlan = "vxlan",
        /// Geneve (RFC 8926).
        Geneve = "geneve",
    }
}

words! {
    /// In which way bytes broke a rule, or the capture is not whole.
    NoticeKind {
        /// A PDU that its protocol does not allow.
        MalformedPdu = "malformed-pdu",
        /// A CRC or checksum that does not fit.
        BadChecksum = "bad-checksum",
        /// Overlapping segments or fragments with different bytes.
        OverlapDisagrees = "overlap-disagrees",
        /// Bytes of a stream that the capture does not hold.
        Gap = "gap",
        /// A table reached its bound; something was given up.
        TableFull = "table-full",
        /// A response that nobody asked for.
        UnaskedResponse = "unasked-response",
        /// A request that nobody answered in time.
        UnansweredRequest = "unanswered-request",
        /// Something else than its protocol on a registered port.
        ForeignProtocol = "foreign-protocol",
        /// Headers that cannot be right (lengths, versions).
        MalformedHeader = "malformed-header",
        /// Fragments that never became a packet.
        FragmentsIncomplete = "fragments-incomplete",
        /// The snap length cut the frame.
        TruncatedFrame = "truncated-frame",
        /// Time ran back by more than two seconds: a new epoch.
        TimeRanBack = "time-ran-back",
        /// The capture file is damaged from here on.
        CaptureDamaged = "capture-damaged",
        /// The clock that stamps frames was set forward: a new epoch.
        TimeSkipped = "time-skipped",
        /// Numbers that do not follow from those that one sender gave before.
        OutOfSequence = "out-of-sequence",
        /// Bytes that were acknowledged before, in a segment that its sender can no longer have sent.
        StaleSegment = "stale-segment",
    }
}
