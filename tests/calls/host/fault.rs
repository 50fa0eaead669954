//! What can go wrong in a call of the component to its host.

use wasmtime_wasi::p2::bindings::sync::filesystem::types::ErrorCode;

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NoSpace,
    Io,
    Denied,
}

impl Reason {
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NoSpace => ErrorCode::InsufficientSpace,
            Self::Io => ErrorCode::Io,
            Self::Denied => ErrorCode::Access,
        }
    }

    /// As the operating system says it.
    pub fn os_error(self) -> std::io::Error {
        // ENOSPC, EIO and EACCES, which are the same in every Unix.
        std::io::Error::from_raw_os_error(match self {
            Self::NoSpace => 28,
            Self::Io => 5,
            Self::Denied => 13,
        })
    }
}

/// How much of what was to be written is in the file or in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    OneByte,
    Half,
    AllButTheLastByte,
    All,
}

impl Part {
    /// How many of so many bytes or lines.
    pub fn of(self, len: usize) -> usize {
        match self {
            Self::OneByte => len.min(1),
            Self::Half => len / 2,
            Self::AllButTheLastByte => len.saturating_sub(1),
            Self::All => len,
        }
    }
}

/// When an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    /// When a part is written.
    At(Part),
    After,
}

/// What a crash of the machine takes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Bytes and names of files: all is as it was synced.
    Everything,
    /// The bytes. New files are empty.
    Bytes,
    /// The second half of the bytes.
    HalfOfTheBytes,
    /// None of the sizes, but the bytes are zeros, as some file systems leave them.
    Zeros,
}

/// What goes wrong in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing, and returns an error.
    Fails(Reason),
    /// So does every later one, until all is repaired.
    AllFail(Reason),
    /// It writes a part, and returns an error.
    Short(Part, Reason),
    /// It does all, and returns an error.
    Done(Reason),
    /// The process is killed.
    Killed(When),
    /// The machine crashes.
    Crash(When, Loss),
}

/// What a call is to the faults: which of them it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes something, as a whole.
    Changes,
    /// It writes bytes or rows, of which a part can be written.
    Writes,
}

const REASONS: [Reason; 3] = [Reason::NoSpace, Reason::Io, Reason::Denied];
const PARTS: [Part; 4] = [Part::OneByte, Part::Half, Part::AllButTheLastByte, Part::All];
const LOSSES: [Loss; 4] = [Loss::Everything, Loss::Bytes, Loss::HalfOfTheBytes, Loss::Zeros];

impl Fault {
    /// All faults that a call with this effect can have.
    pub fn all(effect: Effect) -> Vec<Self> {
        let mut faults: Vec<Self> = REASONS.map(Self::Fails).into();
        faults.extend([
            Self::AllFail(Reason::NoSpace),
            Self::AllFail(Reason::Io),
            Self::Killed(When::Before),
        ]);
        let mut ends = vec![When::Before];
        if effect != Effect::Reads {
            faults.push(Self::Done(Reason::Io));
            faults.push(Self::Killed(When::After));
            ends.push(When::After);
        }
        if effect == Effect::Writes {
            let shorts =
                PARTS.into_iter().flat_map(|part| [Reason::NoSpace, Reason::Io].map(|why| (part, why)));
            faults.extend(shorts.map(|(part, why)| Self::Short(part, why)));
            faults.extend(PARTS.map(|part| Self::Killed(When::At(part))));
            ends.push(When::At(Part::Half));
        }
        for when in ends {
            faults.extend(LOSSES.map(|loss| Self::Crash(when, loss)));
        }
        faults
    }
}
