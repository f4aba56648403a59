CREATE TABLE courses (
    id     text   PRIMARY KEY,
    title  text   NOT NULL,
    topics text[] NOT NULL
);

CREATE TABLE enrolments (
    student     text        NOT NULL,
    course      text        NOT NULL REFERENCES courses (id),
    points      integer     NOT NULL CHECK (points BETWEEN 0 AND 100),
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (student, course)
);
