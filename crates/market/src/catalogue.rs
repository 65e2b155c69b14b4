//! The catalogue: grades, regions and the metering unit, by version.
//!
//! Figures of grades are vendors' data sheets (Ascend-910B: public reports); regions are the ten
//! data-centre clusters of the eight national computing hubs (plan of 2022), with the PUE limit
//! for new sites as approved and the province's average grid emission factor for 2022. They are
//! configuration: an operator checks them before reporting on them.

/// The version of these tables; a change of any row is a new one.
pub const VERSION: u32 = 1;

/// A standard product class. A unit of a grade is interchangeable with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grade {
    /// Its name, the first part of a symbol.
    pub name: &'static str,
    /// Who makes the accelerator.
    pub vendor: &'static str,
    /// Memory of one accelerator, GiB.
    pub memory_gib: i64,
    /// Memory bandwidth of one accelerator, GB/s.
    pub memory_gbps: i64,
    /// Dense FP16 of one accelerator, GFLOPS.
    pub fp16_gflops: i64,
    /// Board power, watts.
    pub board_watts: i64,
    /// Form factor.
    pub form: &'static str,
    /// The smallest number of units that trade: the cards of one host for SXM and OAM forms, on
    /// which a host is the unit of isolation; else one.
    pub lot: i64,
}

/// A cluster of a national computing hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its code, such as `CN-GUZ-GAN`; a symbol has it without `CN-`.
    pub code: &'static str,
    /// The hub, in Chinese.
    pub hub_zh: &'static str,
    /// The hub, in English.
    pub hub_en: &'static str,
    /// The cluster, in Chinese.
    pub cluster_zh: &'static str,
    /// The cluster, in English.
    pub cluster_en: &'static str,
    /// GB/T 2260 code of its place.
    pub gb_code: u32,
    /// Whether it is one of the western hubs, to which demand is to flow.
    pub west: bool,
    /// North, in hundredths of a degree.
    pub latitude_centideg: i64,
    /// East, in hundredths of a degree.
    pub longitude_centideg: i64,
    /// The PUE limit for new sites, in hundredths.
    pub pue_percent: i64,
    /// The province's grid emission factor, in tenths of a gram of CO₂ per kWh.
    pub grid_grams_per_kwh_x10: i64,
}

impl Grade {
    /// The grade of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        GRADES.iter().find(|grade| grade.name == name)
    }

    /// The metering unit: PFLOPS-hours (dense FP16) of one unit-hour, in millionths.
    pub fn micro_pflops(&self) -> i64 {
        self.fp16_gflops
    }
}

impl Region {
    /// The region of this code, with or without `CN-`.
    pub fn of(code: &str) -> Option<&'static Self> {
        REGIONS
            .iter()
            .find(|region| region.code == code || region.code.strip_prefix("CN-") == Some(code))
    }

    /// Its code as a symbol has it.
    pub fn symbol_part(&self) -> &'static str {
        self.code.strip_prefix("CN-").unwrap_or(self.code)
    }
}

/// Every grade.
pub const GRADES: &[Grade] = &[
    Grade {
        name: "P100",
        vendor: "NVIDIA",
        memory_gib: 16,
        memory_gbps: 732,
        fp16_gflops: 21_200,
        board_watts: 300,
        form: "SXM2",
        lot: 8,
    },
    Grade {
        name: "V100-16GB",
        vendor: "NVIDIA",
        memory_gib: 16,
        memory_gbps: 900,
        fp16_gflops: 125_000,
        board_watts: 300,
        form: "SXM2",
        lot: 8,
    },
    Grade {
        name: "V100-32GB",
        vendor: "NVIDIA",
        memory_gib: 32,
        memory_gbps: 900,
        fp16_gflops: 125_000,
        board_watts: 300,
        form: "SXM2",
        lot: 8,
    },
    Grade {
        name: "T4",
        vendor: "NVIDIA",
        memory_gib: 16,
        memory_gbps: 320,
        fp16_gflops: 65_000,
        board_watts: 70,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "A10",
        vendor: "NVIDIA",
        memory_gib: 24,
        memory_gbps: 600,
        fp16_gflops: 125_000,
        board_watts: 150,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "A40",
        vendor: "NVIDIA",
        memory_gib: 48,
        memory_gbps: 696,
        fp16_gflops: 149_700,
        board_watts: 300,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "A100-40GB",
        vendor: "NVIDIA",
        memory_gib: 40,
        memory_gbps: 1555,
        fp16_gflops: 312_000,
        board_watts: 400,
        form: "SXM4",
        lot: 8,
    },
    Grade {
        name: "A100-80GB",
        vendor: "NVIDIA",
        memory_gib: 80,
        memory_gbps: 2039,
        fp16_gflops: 312_000,
        board_watts: 400,
        form: "SXM4",
        lot: 8,
    },
    Grade {
        name: "A100-80GB-PCIe",
        vendor: "NVIDIA",
        memory_gib: 80,
        memory_gbps: 1935,
        fp16_gflops: 312_000,
        board_watts: 300,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "A800-80GB",
        vendor: "NVIDIA",
        memory_gib: 80,
        memory_gbps: 2039,
        fp16_gflops: 312_000,
        board_watts: 400,
        form: "SXM4",
        lot: 8,
    },
    Grade {
        name: "H100",
        vendor: "NVIDIA",
        memory_gib: 80,
        memory_gbps: 3350,
        fp16_gflops: 989_400,
        board_watts: 700,
        form: "SXM5",
        lot: 8,
    },
    Grade {
        name: "H100-PCIe",
        vendor: "NVIDIA",
        memory_gib: 80,
        memory_gbps: 2000,
        fp16_gflops: 756_000,
        board_watts: 350,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "H100-NVL",
        vendor: "NVIDIA",
        memory_gib: 94,
        memory_gbps: 3900,
        fp16_gflops: 835_000,
        board_watts: 400,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "H800",
        vendor: "NVIDIA",
        memory_gib: 80,
        memory_gbps: 3350,
        fp16_gflops: 989_400,
        board_watts: 700,
        form: "SXM5",
        lot: 8,
    },
    Grade {
        name: "H200",
        vendor: "NVIDIA",
        memory_gib: 141,
        memory_gbps: 4800,
        fp16_gflops: 989_400,
        board_watts: 700,
        form: "SXM5",
        lot: 8,
    },
    Grade {
        name: "H20",
        vendor: "NVIDIA",
        memory_gib: 96,
        memory_gbps: 4000,
        fp16_gflops: 148_000,
        board_watts: 400,
        form: "SXM5",
        lot: 8,
    },
    Grade {
        name: "B200",
        vendor: "NVIDIA",
        memory_gib: 180,
        memory_gbps: 8000,
        fp16_gflops: 2_250_000,
        board_watts: 1000,
        form: "SXM6",
        lot: 8,
    },
    Grade {
        name: "B300",
        vendor: "NVIDIA",
        memory_gib: 288,
        memory_gbps: 8000,
        fp16_gflops: 2_250_000,
        board_watts: 1400,
        form: "SXM6",
        lot: 8,
    },
    Grade {
        name: "L4",
        vendor: "NVIDIA",
        memory_gib: 24,
        memory_gbps: 300,
        fp16_gflops: 121_000,
        board_watts: 72,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "L20",
        vendor: "NVIDIA",
        memory_gib: 48,
        memory_gbps: 864,
        fp16_gflops: 119_500,
        board_watts: 275,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "L40S",
        vendor: "NVIDIA",
        memory_gib: 48,
        memory_gbps: 864,
        fp16_gflops: 362_000,
        board_watts: 350,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "RTX3090",
        vendor: "NVIDIA",
        memory_gib: 24,
        memory_gbps: 936,
        fp16_gflops: 71_000,
        board_watts: 350,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "RTX4090",
        vendor: "NVIDIA",
        memory_gib: 24,
        memory_gbps: 1008,
        fp16_gflops: 165_200,
        board_watts: 450,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "RTX5090",
        vendor: "NVIDIA",
        memory_gib: 32,
        memory_gbps: 1792,
        fp16_gflops: 209_500,
        board_watts: 575,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "RTXA6000",
        vendor: "NVIDIA",
        memory_gib: 48,
        memory_gbps: 768,
        fp16_gflops: 154_800,
        board_watts: 300,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "RTX6000-Ada",
        vendor: "NVIDIA",
        memory_gib: 48,
        memory_gbps: 960,
        fp16_gflops: 364_250,
        board_watts: 300,
        form: "PCIe",
        lot: 1,
    },
    Grade {
        name: "MI300X",
        vendor: "AMD",
        memory_gib: 192,
        memory_gbps: 5300,
        fp16_gflops: 1_307_400,
        board_watts: 750,
        form: "OAM",
        lot: 8,
    },
    Grade {
        name: "Ascend-910B",
        vendor: "Huawei",
        memory_gib: 64,
        memory_gbps: 1600,
        fp16_gflops: 320_000,
        board_watts: 400,
        form: "OAM",
        lot: 8,
    },
];

/// Every region, east before west.
pub const REGIONS: &[Region] = &[
    Region {
        code: "CN-JJJ-ZJK",
        hub_zh: "京津冀",
        hub_en: "Beijing-Tianjin-Hebei",
        cluster_zh: "张家口集群",
        cluster_en: "Zhangjiakou",
        gb_code: 130700,
        west: false,
        latitude_centideg: 4077,
        longitude_centideg: 11488,
        pue_percent: 125,
        grid_grams_per_kwh_x10: 7252,
    },
    Region {
        code: "CN-CSJ-SFQ",
        hub_zh: "长三角",
        hub_en: "Yangtze River Delta",
        cluster_zh: "长三角生态绿色一体化发展示范区集群",
        cluster_en: "Yangtze Delta Demonstration Zone",
        gb_code: 310118,
        west: false,
        latitude_centideg: 3115,
        longitude_centideg: 12112,
        pue_percent: 125,
        grid_grams_per_kwh_x10: 5849,
    },
    Region {
        code: "CN-CSJ-WUH",
        hub_zh: "长三角",
        hub_en: "Yangtze River Delta",
        cluster_zh: "芜湖集群",
        cluster_en: "Wuhu",
        gb_code: 340200,
        west: false,
        latitude_centideg: 3133,
        longitude_centideg: 11838,
        pue_percent: 125,
        grid_grams_per_kwh_x10: 6782,
    },
    Region {
        code: "CN-GBA-SHG",
        hub_zh: "粤港澳大湾区",
        hub_en: "Greater Bay Area",
        cluster_zh: "韶关集群",
        cluster_en: "Shaoguan",
        gb_code: 440200,
        west: false,
        latitude_centideg: 2481,
        longitude_centideg: 11360,
        pue_percent: 125,
        grid_grams_per_kwh_x10: 4403,
    },
    Region {
        code: "CN-CHY-TFU",
        hub_zh: "成渝",
        hub_en: "Chengdu-Chongqing",
        cluster_zh: "天府集群",
        cluster_en: "Tianfu",
        gb_code: 510100,
        west: false,
        latitude_centideg: 3043,
        longitude_centideg: 10407,
        pue_percent: 125,
        grid_grams_per_kwh_x10: 1404,
    },
    Region {
        code: "CN-CHY-CQG",
        hub_zh: "成渝",
        hub_en: "Chengdu-Chongqing",
        cluster_zh: "重庆集群",
        cluster_en: "Chongqing",
        gb_code: 500000,
        west: false,
        latitude_centideg: 2956,
        longitude_centideg: 10655,
        pue_percent: 125,
        grid_grams_per_kwh_x10: 5227,
    },
    Region {
        code: "CN-NMG-HLG",
        hub_zh: "内蒙古",
        hub_en: "Inner Mongolia",
        cluster_zh: "和林格尔集群",
        cluster_en: "Horinger",
        gb_code: 150123,
        west: true,
        latitude_centideg: 4038,
        longitude_centideg: 11182,
        pue_percent: 120,
        grid_grams_per_kwh_x10: 6849,
    },
    Region {
        code: "CN-GUZ-GAN",
        hub_zh: "贵州",
        hub_en: "Guizhou",
        cluster_zh: "贵安集群",
        cluster_en: "Gui'an",
        gb_code: 520100,
        west: true,
        latitude_centideg: 2644,
        longitude_centideg: 10653,
        pue_percent: 120,
        grid_grams_per_kwh_x10: 4989,
    },
    Region {
        code: "CN-GAS-QIY",
        hub_zh: "甘肃",
        hub_en: "Gansu",
        cluster_zh: "庆阳集群",
        cluster_en: "Qingyang",
        gb_code: 621000,
        west: true,
        latitude_centideg: 3571,
        longitude_centideg: 10764,
        pue_percent: 120,
        grid_grams_per_kwh_x10: 4772,
    },
    Region {
        code: "CN-NXA-ZHW",
        hub_zh: "宁夏",
        hub_en: "Ningxia",
        cluster_zh: "中卫集群",
        cluster_en: "Zhongwei",
        gb_code: 640500,
        west: true,
        latitude_centideg: 3751,
        longitude_centideg: 10519,
        pue_percent: 120,
        grid_grams_per_kwh_x10: 6423,
    },
];
