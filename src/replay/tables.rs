//! The four tables as they are published: nodes, jobs, prices, grades. A line that can't be read
//! is reported with its number and the rest goes on; a row that can be read but means nothing here
//! is left out and counted by its reason.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use market::HORIZON_HOURS;
use market::catalogue::Grade;
use serde::de::DeserializeOwned;

use super::decimal::{Decimal, ONE};

/// Seconds in an hour.
pub(super) const HOUR_SECONDS: i64 = 3600;

/// The highest price of a card-hour in US dollars, and the highest factor, that make sense; with
/// them every price fits in 64 bits.
const HIGHEST_PRICE: Decimal = Decimal(10_000 * ONE);
const HIGHEST_FACTOR: Decimal = Decimal(100 * ONE);

/// How many rows of each table were read, and which were not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows read, the malformed ones too, by table.
    pub read: BTreeMap<&'static str, i64>,
    /// Rows left out, by reason.
    pub left_out: BTreeMap<&'static str, i64>,
    /// Lines that could not be read.
    pub malformed: Vec<Malformed>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which table.
    pub table: &'static str,
    /// The number of the line in its file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.table, self.line, self.reason)
    }
}

/// A whole table that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file can't be read.
    #[error("cannot read the table of {table}")]
    Io {
        /// Which table.
        table: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The first line does not name a column that is needed.
    #[error("the table of {table} has no column {column}")]
    Column {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
}

/// How a job stands to being moved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Class {
    /// Latency-sensitive (`LS`): tied to its region.
    #[serde(rename = "LS")]
    Sensitive,
    /// Guaranteed: tied to its region.
    Guaranteed,
    /// Burstable: goes anywhere.
    Burstable,
    /// Best effort (`BE`): goes anywhere.
    #[serde(rename = "BE")]
    BestEffort,
}

impl Class {
    /// Whether its work must run in one region.
    pub fn is_tied(self) -> bool {
        matches!(self, Self::Sensitive | Self::Guaranteed)
    }

    fn of(text: &str) -> Option<Self> {
        match text {
            "LS" => Some(Self::Sensitive),
            "Guaranteed" => Some(Self::Guaranteed),
            "Burstable" => Some(Self::Burstable),
            "BE" => Some(Self::BestEffort),
            _ => None,
        }
    }
}

/// A usable node: one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What its cards are.
    pub grade: &'static Grade,
    /// How many it has, a positive multiple of the grade's lot.
    pub cards: i64,
}

/// A usable job. Times count from the trace's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// When it was asked for, in seconds.
    pub created: i64,
    /// For how many whole hours it ran, begun hours counted whole.
    pub hours: i64,
    /// How many cards it asks for, parts of a card counted whole.
    pub cards: i64,
    /// Whether a part of a card would have done.
    pub part: bool,
    /// How it stands to being moved.
    pub class: Class,
    /// The grades that it names, if any.
    pub grades: Vec<&'static Grade>,
}

impl Job {
    /// The first whole hour that it can get, in hours.
    pub fn start(&self) -> i64 {
        (self.created + HOUR_SECONDS - 1).div_euclid(HOUR_SECONDS)
    }

    /// The hour after its last one.
    pub fn end(&self) -> i64 {
        self.start() + self.hours
    }
}

/// What a model of a trace is here; `grade` is `None` for an undisclosed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The grade.
    pub grade: Option<&'static Grade>,
    /// The model whose published price it takes.
    pub price_model: String,
    /// Times this.
    pub factor: Decimal,
}

/// Grades by the model's name in the traces.
pub type GradeMap = BTreeMap<String, Mapped>;

/// Published index prices of each model, US dollars a card-hour, by day.
pub type IndexPrices = BTreeMap<String, Vec<Decimal>>;

#[derive(serde::Deserialize)]
struct NodeRow {
    #[serde(alias = "model")]
    gpu_model: String,
    #[serde(alias = "gpu")]
    gpu_capacity_num: u32,
}

#[derive(serde::Deserialize)]
struct JobRow {
    num_gpu: Option<u32>,
    gpu_milli: Option<u32>,
    gpu_spec: String,
    qos: String,
    creation_time: Option<u32>,
    deletion_time: Option<u32>,
    scheduled_time: Option<u32>,
}

#[derive(serde::Deserialize)]
struct GradeRow {
    trace_model: String,
    grade: String,
    price_model: String,
    price_factor: String,
}

impl Rows {
    fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Counts rows of a table as read.
    pub(super) fn count(&mut self, table: &'static str, rows: i64) {
        *self.read.entry(table).or_default() += rows;
    }

    /// Counts rows as left out.
    pub(super) fn count_left_out(&mut self, reason: &'static str, rows: i64) {
        if rows > 0 {
            *self.left_out.entry(reason).or_default() += rows;
        }
    }

    fn malformed(&mut self, table: &'static str, line: u64, reason: String) {
        self.leave_out("malformed");
        self.malformed.push(Malformed {
            table,
            line,
            reason,
        });
    }

    /// Reads a table row by row. A column may have another name (`this or that`); `take` says what is wrong with one that it can't use.
    fn read<R: DeserializeOwned>(
        &mut self,
        table: &'static str,
        columns: &[&'static str],
        input: impl Read,
        mut take: impl FnMut(&mut Self, R, &csv::StringRecord) -> Result<(), String>,
    ) -> Result<(), TableError> {
        let io = |source| TableError::Io { table, source };
        let mut lines = Lines::new(input);
        let headers = match lines.next().map_err(io)? {
            Some(first) => first.unwrap_or_default(),
            None => csv::StringRecord::new(),
        };
        for &column in columns {
            let mut names = column.split(" or ");
            if !names.any(|name| headers.iter().any(|header| header == name)) {
                return Err(TableError::Column { table, column });
            }
        }
        while let Some(record) = lines.next().map_err(io)? {
            self.count(table, 1);
            let taken = record.and_then(|record| {
                if record.len() != headers.len() {
                    let (len, expected) = (record.len(), headers.len());
                    return Err(format!("{len} fields where the first line has {expected}"));
                }
                let row = record.deserialize::<R>(Some(&headers));
                let row = row.map_err(|error| reason_of(&error, &headers))?;
                take(self, row, &record)
            });
            if let Err(reason) = taken {
                self.malformed(table, lines.number, reason);
            }
        }
        Ok(())
    }

    /// Reads the map from models to grades.
    ///
    /// # Errors
    /// When the table can't be read at all.
    pub fn grades(&mut self, input: impl Read) -> Result<GradeMap, TableError> {
        let columns = ["trace_model", "grade", "price_model", "price_factor"];
        let mut map = GradeMap::new();
        self.read("grades", &columns, input, |_, row: GradeRow, _| {
            let mapped = if row.grade.is_empty() {
                Mapped {
                    grade: None,
                    price_model: String::new(),
                    factor: Decimal(0),
                }
            } else {
                let factor: Decimal = row
                    .price_factor
                    .parse()
                    .map_err(|error| format!("price_factor: {error}"))?;
                if factor <= Decimal(0) || factor > HIGHEST_FACTOR {
                    return Err("price_factor: not above 0 and up to 100".to_owned());
                }
                let grade = Grade::of(&row.grade)
                    .ok_or_else(|| format!("grade: the catalogue has no {}", row.grade))?;
                Mapped {
                    grade: Some(grade),
                    price_model: row.price_model,
                    factor,
                }
            };
            map.insert(row.trace_model, mapped);
            Ok(())
        })?;
        Ok(map)
    }

    /// Reads the published prices: the rows of the segment `index`, whose columns from the third
    /// on are days. A day without a price is passed over.
    ///
    /// # Errors
    /// When the table can't be read at all.
    pub fn prices(&mut self, input: impl Read) -> Result<IndexPrices, TableError> {
        let mut prices = IndexPrices::new();
        let columns = ["gpu_model", "segment"];
        self.read("prices", &columns, input, |_, _: Ignored, record| {
            let mut fields = record.iter();
            let (model, segment) = (fields.next(), fields.next());
            let mut days = Vec::new();
            for day in fields.filter(|day| !day.is_empty()) {
                let price: Decimal = day.parse().map_err(|error| format!("{day:?}: {error}"))?;
                if price <= Decimal(0) || price > HIGHEST_PRICE {
                    return Err(format!("{day:?}: not above 0 and up to 10000"));
                }
                days.push(price);
            }
            if let (Some(model), Some("index"), false) = (model, segment, days.is_empty()) {
                prices.insert(model.to_owned(), days);
            }
            Ok(())
        })?;
        Ok(prices)
    }

    /// Reads the nodes.
    ///
    /// # Errors
    /// When the table can't be read at all.
    pub fn nodes(&mut self, input: impl Read, grades: &GradeMap) -> Result<Vec<Node>, TableError> {
        let mut nodes = Vec::new();
        let columns = ["gpu_model or model", "gpu_capacity_num or gpu"];
        self.read("nodes", &columns, input, |rows, row: NodeRow, _| {
            let cards = i64::from(row.gpu_capacity_num);
            match grades.get(&row.gpu_model).map(|mapped| mapped.grade) {
                None => rows.leave_out("unknown_model"),
                Some(None) => rows.leave_out("undisclosed_model"),
                Some(Some(_)) if cards == 0 => rows.leave_out("no_cards"),
                Some(Some(grade)) if cards % grade.lot != 0 => rows.leave_out("not_whole_lots"),
                Some(Some(grade)) => nodes.push(Node { grade, cards }),
            }
            Ok(())
        })?;
        Ok(nodes)
    }

    /// Reads the jobs, in the order in which they were asked for.
    ///
    /// # Errors
    /// When the table can't be read at all.
    pub fn jobs(&mut self, input: impl Read, grades: &GradeMap) -> Result<Vec<Job>, TableError> {
        let mut jobs = Vec::new();
        let columns = [
            "num_gpu",
            "gpu_milli",
            "gpu_spec",
            "qos",
            "creation_time",
            "deletion_time",
            "scheduled_time",
        ];
        self.read("jobs", &columns, input, |rows, row: JobRow, _| {
            match job(&row, grades) {
                Ok(job) => jobs.push(job),
                Err(reason) => rows.leave_out(reason),
            }
            Ok(())
        })?;
        jobs.sort_by_key(|job| job.created);
        Ok(jobs)
    }
}

/// The lines of a table, one row each: a quote that is never closed spoils its own line only.
struct Lines<R> {
    input: BufReader<R>,
    /// The number of the line that was read last, from 1.
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            number: 0,
            line: Vec::new(),
        }
    }

    /// The fields of the next line that is neither blank nor a `#` comment, or what is wrong with
    /// it; `None` after the last one.
    fn next(&mut self) -> io::Result<Option<Result<csv::StringRecord, String>>> {
        loop {
            self.line.clear();
            if self.input.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let line = self.line.trim_ascii();
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let mut record = csv::StringRecord::new();
            let read = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .buffer_capacity(line.len())
                .from_reader(line)
                .read_record(&mut record);
            return Ok(Some(match read {
                Ok(_) => Ok(record),
                Err(error) => Err(reason_of(&error, &record)),
            }));
        }
    }
}

/// A row of which only the raw fields matter.
#[derive(serde::Deserialize)]
struct Ignored {}

/// The job that a row describes, or why it is none.
fn job(row: &JobRow, grades: &GradeMap) -> Result<Job, &'static str> {
    let cards = row.num_gpu.filter(|cards| *cards > 0);
    let cards = i64::from(cards.ok_or("asks_for_no_gpu")?);
    let scheduled = i64::from(row.scheduled_time.ok_or("never_ran")?);
    let deleted = i64::from(row.deletion_time.ok_or("no_end")?);
    let created = i64::from(row.creation_time.ok_or("no_creation")?);
    let class = Class::of(&row.qos).ok_or("unknown_class")?;
    if deleted <= scheduled {
        return Err("ends_before_it_starts");
    }
    let named = row.gpu_spec.split('|').filter_map(|name| grades.get(name));
    let job = Job {
        created,
        hours: (deleted - scheduled + HOUR_SECONDS - 1).div_euclid(HOUR_SECONDS),
        cards,
        part: row.gpu_milli.is_some_and(|milli| milli < 1000),
        class,
        grades: named.filter_map(|mapped| mapped.grade).collect(),
    };
    if job.end() > HORIZON_HOURS {
        return Err("beyond_the_horizon");
    }
    Ok(job)
}

/// What is wrong with a line, in one sentence without the reader's own counting.
fn reason_of(error: &csv::Error, headers: &csv::StringRecord) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err
                .field()
                .and_then(|field| headers.get(usize::try_from(field).ok()?));
            match column {
                Some(column) => format!("{column}: {}", err.kind()),
                None => err.to_string(),
            }
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRADES: &str = "\
# source: a test
trace_model,grade,price_model,price_factor,note
A100-SXM4-80GB,A100-80GB,A100-80GB,1,
A10,A10,A100-80GB,0.4006,derived
G2,,,,undisclosed
";

    fn grades() -> GradeMap {
        Rows::default().grades(GRADES.as_bytes()).unwrap()
    }

    fn jobs(lines: &str) -> (Rows, Vec<Job>) {
        let header =
            "name,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time,scheduled_time\n";
        let mut rows = Rows::default();
        let jobs = rows
            .jobs(format!("{header}{lines}").as_bytes(), &grades())
            .unwrap();
        (rows, jobs)
    }

    #[test]
    fn nodes_become_hosts_of_a_grade_or_are_counted() {
        let text = "gpu_model,gpu_capacity_num,node_name\nA100-SXM4-80GB,8,1\nA10,1,2\nG2,8,3\n\
                    K80,2,4\nA10,0,5\nA100-SXM4-80GB,4,6\n";
        let mut rows = Rows::default();
        let nodes = rows.nodes(text.as_bytes(), &grades()).unwrap();
        let found: Vec<_> = nodes.iter().map(|n| (n.grade.name, n.cards)).collect();
        assert_eq!(found, [("A100-80GB", 8), ("A10", 1)]);
        let left_out = BTreeMap::from([
            ("no_cards", 1),
            ("not_whole_lots", 1),
            ("undisclosed_model", 1),
            ("unknown_model", 1),
        ]);
        assert_eq!((rows.read["nodes"], rows.left_out), (6, left_out));
    }

    #[test]
    fn nodes_of_an_older_trace_are_nodes_too() {
        let text = "sn,cpu_milli,memory_mib,gpu,model\nn1,1,1,2,A10\nn2,1,1,8,G2\n";
        let mut rows = Rows::default();
        let nodes = rows.nodes(text.as_bytes(), &grades()).unwrap();
        assert_eq!((nodes.len(), nodes[0].cards), (1, 2));
        assert_eq!(rows.left_out["undisclosed_model"], 1);
    }

    #[test]
    fn a_job_asks_for_whole_cards_and_hours_from_the_next_hour() {
        let (rows, jobs) =
            jobs("a,1,460,,LS,3601,10801,3700\nb,8,1000,A10|A100-SXM4-80GB,BE,0,3600,0\n");
        assert!(rows.left_out.is_empty());
        // In order of creation, whatever the order of lines.
        assert_eq!((jobs[0].start(), jobs[0].hours, jobs[0].cards), (0, 1, 8));
        assert_eq!(jobs[0].grades.len(), 2);
        assert!(!jobs[0].class.is_tied() && !jobs[0].part);
        // 3601 s: the next whole hour is the second; 7101 s make two begun hours.
        assert_eq!((jobs[1].start(), jobs[1].hours, jobs[1].cards), (2, 2, 1));
        assert!(jobs[1].class.is_tied() && jobs[1].part);
    }

    #[test]
    fn dirty_rows_are_counted_by_reason() {
        let lines = "a,0,0,,BE,1,2,1\nb,,0,,BE,1,2,1\nc,1,1000,,BE,1,2,\nd,1,1000,,BE,1,,1\n\
                     e,1,1000,,BE,,2,1\nf,1,1000,,,1,2,1\ng,1,1000,,BE,1,0,1\n\
                     h,1,1000,,BE,1,34560001,1\n";
        let (rows, jobs) = jobs(lines);
        assert!(jobs.is_empty() && rows.malformed.is_empty());
        let left_out = BTreeMap::from([
            ("asks_for_no_gpu", 2),
            ("beyond_the_horizon", 1),
            ("ends_before_it_starts", 1),
            ("never_ran", 1),
            ("no_creation", 1),
            ("no_end", 1),
            ("unknown_class", 1),
        ]);
        assert_eq!(rows.left_out, left_out);
    }

    #[test]
    fn malformed_lines_are_named_and_the_rest_goes_on() {
        let lines = "a,one,1000,,LS,0,2,1\nb,1,1000,,LS\n\nc,-1,1000,,LS,0,2,1\n\
                     d,1,1000,,LS,0,2,99999999999\ne,1,1000,,LS,0,2,1\n";
        let (rows, jobs) = jobs(lines);
        assert_eq!(jobs.len(), 1, "the good line");
        let told: Vec<String> = rows.malformed.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "jobs line 2: num_gpu: invalid digit found in string",
                "jobs line 3: 5 fields where the first line has 8",
                "jobs line 5: num_gpu: invalid digit found in string",
                "jobs line 6: scheduled_time: number too large to fit in target type",
            ]
        );
        assert_eq!((rows.read["jobs"], rows.left_out["malformed"]), (5, 4));
    }

    #[test]
    fn an_open_quote_spoils_its_own_line_only() {
        let (rows, jobs) = jobs("\"a,1,1000,,LS,0,2,1\r\n\"b\",1,1000,,LS,0,2,1\r\n");
        assert_eq!(jobs.len(), 1);
        assert_eq!(
            rows.malformed[0].to_string(),
            "jobs line 2: 1 fields where the first line has 8"
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_one_malformed_line() {
        let mut text = b"gpu_model,gpu_capacity_num\nA10,1\n".to_vec();
        text.extend_from_slice(b"\xff\xfe,1\nA10,2\n");
        let mut rows = Rows::default();
        let nodes = rows.nodes(text.as_slice(), &grades()).unwrap();
        assert_eq!(nodes.len(), 2);
        assert_eq!(rows.malformed[0].to_string(), "nodes line 3: not UTF-8");
    }

    #[test]
    fn prices_are_the_index_by_day() {
        let text = "gpu_model,segment,d1,d2,d3\nA100-80GB,index,2.19,,2.7\nA100-80GB,spot,1,1,1\n\
                    T4,index,x,1,1\n";
        let mut rows = Rows::default();
        let prices = rows.prices(text.as_bytes()).unwrap();
        assert_eq!(prices["A100-80GB"], [Decimal(21_900), Decimal(27_000)]);
        assert_eq!(prices.len(), 1);
        assert_eq!(
            rows.malformed[0].to_string(),
            "prices line 4: \"x\": not a decimal number"
        );
    }

    #[test]
    fn a_missing_column_is_told_at_once() {
        let error = Rows::default()
            .nodes("gpus,cards\nA10,1\n".as_bytes(), &grades())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the table of nodes has no column gpu_model or model"
        );
    }
}
