//! The images that a buyer can ask to find started: `data/images.toml`.

use std::sync::LazyLock;

use market::catalogue::Grade;
use serde::Deserialize;

/// One image, with the facts that it is chosen by. A fact that is empty does not apply.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// What orders keep.
    pub code: String,
    /// What people see.
    pub name: String,
    /// Whose accelerators it is for; anyone's when empty.
    pub vendor: String,
    /// The operating system.
    pub system: String,
    /// The accelerator's software.
    pub accelerator: String,
    /// The framework.
    pub framework: String,
    /// Where it is published.
    pub source: String,
}

#[derive(Debug, Default, Deserialize)]
struct Catalogue {
    image: Vec<Image>,
}

/// The catalogue, in its order. A test holds that it can be read.
static IMAGES: LazyLock<Vec<Image>> = LazyLock::new(|| {
    let read: Result<Catalogue, _> = toml::from_str(include_str!("../../data/images.toml"));
    read.unwrap_or_default().image
});

impl Image {
    /// The image of this code.
    pub fn of(code: &str) -> Option<&'static Self> {
        IMAGES.iter().find(|image| image.code == code)
    }

    /// Those that run on a grade, the usual one first.
    pub fn for_grade(grade: Option<&Grade>) -> Vec<&'static Self> {
        IMAGES.iter().filter(|image| image.fits(grade)).collect()
    }

    /// The code of the one that runs on everything: what is started where nobody chose.
    pub fn usual() -> &'static str {
        let fits_all = IMAGES.iter().find(|image| image.fits(None));
        fits_all.map_or("", |image| &image.code)
    }

    /// Whether it runs on a grade; on one that the catalogue does not know only what fits all.
    pub fn fits(&self, grade: Option<&Grade>) -> bool {
        self.vendor.is_empty() || grade.is_some_and(|grade| grade.vendor == self.vendor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grade_has_an_image_and_none_of_another_maker() {
        assert!(IMAGES.len() >= 4, "data/images.toml can be read");
        for (grade, codes) in [
            (
                "A100-80GB",
                vec!["ubuntu-24.04-cuda-12", "pytorch-2.6", "bare"],
            ),
            ("Ascend-910B", vec!["ubuntu-22.04-cann-8", "bare"]),
        ] {
            let images = Image::for_grade(Grade::of(grade));
            let found: Vec<&str> = images.iter().map(|image| image.code.as_str()).collect();
            assert_eq!(found, codes, "{grade}");
        }
        assert_eq!(Image::for_grade(None).len(), 1);
        assert!(Image::of("none").is_none());
    }
}
